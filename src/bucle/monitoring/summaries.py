"""How a service does: its watch, its windows, its ledger of loss against cost, what is firing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from bucle.ledger import Reader, Row, Scope, from_us, to_us
from bucle.messages import Phrase
from bucle.monitoring import store
from bucle.monitoring.alerts import Alert, open_alerts
from bucle.monitoring.budgets import Budget
from bucle.monitoring.errors import NotWatched
from bucle.monitoring.loss import decision_phrase
from bucle.monitoring.objectives import budgets
from bucle.monitoring.watches import Watch, watch_of
from bucle.monitoring.windows import WindowReport


@dataclass(frozen=True, slots=True)
class StoredWindow:
    """A window that was evaluated; `event` is the seq of `monitoring.window_evaluated`."""

    id: str
    deployment: str
    since: datetime
    until: datetime
    report: WindowReport
    event: int


@dataclass(frozen=True, slots=True)
class LossLedger:
    """What the deployed model lost beyond its promise, against what a retraining costs; units of the loss.

    `excess` is the running sum of the rule, `total` the whole loss over `labelled` predictions, `expected` the mean loss of
    the hold-out, `asked` how often a retraining was asked for. None where it is not known. `sentence` explains the decision in
    English, `said` in any language.
    """

    excess: float
    retrain_cost: float | None
    expected: float | None
    labelled: int
    total: float
    asked: int
    sentence: str
    said: Phrase


@dataclass(frozen=True, slots=True)
class ServiceSummary:
    """How a service does. `verdict` is "alert", "ok" or "insufficient data"."""

    service: str
    environment: str
    deployment: str
    model: str
    since: datetime
    verdict: str
    monitor: str
    false_pages_per_month: float
    watched_until: datetime
    model_age: timedelta | None
    has_reference: bool
    loss: LossLedger
    objectives: list[Budget]
    alerts: list[Alert]
    windows: list[StoredWindow]


@dataclass(frozen=True, slots=True)
class AlertCount:
    """How many alerts of a kind a service has in a state."""

    project: str
    environment: str
    service: str
    kind: str
    state: str
    alerts: int


@dataclass(frozen=True, slots=True)
class LossGauge:
    """The loss ledger of a service that is watched now."""

    scope: Scope
    service: str
    loss: LossLedger


def count_alerts(reader: Reader) -> list[AlertCount]:
    """Return the counts of all alerts of the home."""
    return [AlertCount(*(row[column] for column in row.keys())) for row in reader.rows(store.COUNT_ALERTS)]


def loss_gauges(reader: Reader) -> list[LossGauge]:
    """Return the loss ledgers of all services that are watched now."""
    watches = [watch_of(row) for row in reader.rows(store.SELECT_ACTIVE)]
    return [LossGauge(watch.scope, watch.service, _loss(watch)) for watch in watches]


def list_windows(reader: Reader, scope: Scope, service: str, limit: int = 30) -> list[StoredWindow]:
    """Return the windows of a service, newest first."""
    return [_window(row) for row in store.window_rows(reader, scope, service, limit)]


def summarize(reader: Reader, scope: Scope, service: str, now: datetime, limit: int = 30) -> ServiceSummary:
    """Return how a service does. Raises `monitoring/not-watched`."""
    row = store.last_watch(reader, scope, service)
    if row is None:
        raise NotWatched(service=service, environment=scope.environment)
    watch = watch_of(row)
    alerts, windows = open_alerts(reader, scope, service), list_windows(reader, scope, service, limit)
    terms = watch.terms
    return ServiceSummary(
        service=service,
        environment=scope.environment,
        deployment=watch.deployment,
        model=terms.model,
        since=from_us(watch.since_us),
        verdict="alert"
        if alerts
        else "ok"
        if any(_says_something(window.report) for window in windows)
        else "insufficient data",
        monitor=terms.monitor.name,
        false_pages_per_month=terms.monitor.false_pages_per_month,
        watched_until=from_us(watch.until_us),
        model_age=now - from_us(terms.trained_us) if terms.trained_us is not None else None,
        has_reference=watch.reference is not None,
        loss=_loss(watch),
        objectives=budgets(reader, watch, to_us(now)),
        alerts=alerts,
        windows=windows,
    )


def _loss(watch: Watch) -> LossLedger:
    state, terms = watch.state.loss, watch.terms
    cost, expected = terms.retrain_cost, terms.expected_loss
    said = decision_phrase(state, expected, cost)
    return LossLedger(state.excess, cost, expected, state.counted, state.total, state.asked, str(said), said)


def _says_something(report: WindowReport) -> bool:
    return any(feature.p_value is not None for feature in report.features) or report.performance[0].loss is not None


def _window(row: Row) -> StoredWindow:
    report = msgspec.json.decode(row["report"], type=WindowReport)
    return StoredWindow(row["id"], row["deployment"], from_us(row["since_us"]), from_us(row["until_us"]), report, row["event"])
