"""Watching: a watch begins with a deployment, and goes on with each hour of the home's clock."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from bucle.artifacts import refer
from bucle.ledger import Ledger, StoredEvent, Subscription, because, from_us, new_id, to_us, within
from bucle.messages import Phrase
from bucle.monitoring import store
from bucle.monitoring.alerts import fire, open_alerts, resolve
from bucle.monitoring.events import WatchStarted, WindowEvaluated
from bucle.monitoring.loss import LossState, advance_loss, row_loss
from bucle.monitoring.reference import Reference
from bucle.monitoring.watches import Terms, Watch, WatchState, watch_of
from bucle.monitoring.windows import Evaluation, WindowReport, evaluate_window
from bucle.serving import Deployment, Services, get_deployment

_MOST_WINDOWS = 31
"""Windows that are made up for one by one after a pause; older ones become one."""

_log = logging.getLogger(__name__)


class DeployedTerms(msgspec.Struct, frozen=True):
    """The fields of `serving.deployed` that this room reads."""

    deployment: str


class TickedTerms(msgspec.Struct, frozen=True):
    """The fields of `ledger.ticked` that this room reads."""

    hour: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a deployment when its watch begins: its terms, and the artifact id of its reference if there is one."""

    terms: Terms
    reference: str | None


class Watching:
    """Evaluates windows and the cumulative-loss rule for every deployment that answers."""

    def __init__(
        self,
        ledger: Ledger,
        services: Services,
        inspect: Callable[[Deployment], Watched],
        load_reference: Callable[[str], Reference],
    ) -> None:
        """`inspect` says what is known of a new deployment; `load_reference` reads a reference by its artifact id."""
        self._ledger, self._services, self._inspect, self._load = ledger, services, inspect, load_reference
        self._references: dict[str, Reference] = {}

    def subscriptions(self) -> list[Subscription]:
        """Return what this room does about the events of others."""
        return [
            Subscription("monitoring-begin", ("serving.deployed",), self.begin),
            Subscription("monitoring-tick", ("ledger.ticked",), self.tick),
        ]

    def begin(self, event: StoredEvent) -> None:
        """Begin the watch of a deployment; that of the one before ends and its alerts are resolved."""
        with self._ledger.read() as reader:
            deployment = get_deployment(reader, event.decode(DeployedTerms).deployment)
            if reader.row(store.SELECT_WATCH, (deployment.id,)):
                return
        watched = self._inspect(deployment)
        now = to_us(deployment.as_of)
        state = WatchState(LossState(), now, {})
        terms = watched.terms
        started = WatchStarted(
            deployment=deployment.id,
            service=deployment.service,
            monitor=terms.monitor.name,
            reference=watched.reference or "",
            retrain_cost=terms.retrain_cost,
            expected_loss=terms.expected_loss,
            false_pages_per_month=terms.monitor.false_pages_per_month,
        )
        place = (deployment.project, deployment.environment, deployment.service)
        with self._ledger.write() as tx, within(deployment.scope), because(deployment.event):
            seq = tx.emit(started, deployment.id)
            for alert in open_alerts(tx, deployment.scope, deployment.service):
                with because(alert.event):
                    resolve(tx, deployment.scope, alert.id, Phrase("resolved.replaced"))
            tx.execute(store.END_WATCHES, place)
            values = (deployment.id, *place, _json(terms), watched.reference, _json(state), now, now, deployment.event, seq)
            tx.execute(store.INSERT_WATCH, values)
            if watched.reference is not None:
                refer(tx, watched.reference, deployment.id, "reference")

    def tick(self, event: StoredEvent) -> None:
        """Bring every watch up to the hour of the home's clock."""
        hour_us = to_us(event.decode(TickedTerms).hour)
        self._services.flush()
        with self._ledger.read() as reader:
            watches = [watch_of(row) for row in reader.rows(store.SELECT_ACTIVE)]
        failures = [failure for watch in watches if (failure := self._failure(watch, hour_us)) is not None]
        if failures:
            raise failures[0]

    def _failure(self, watch: Watch, hour_us: int) -> Exception | None:
        """Bring one watch up to the hour; what goes wrong with it must not keep the others from being watched."""
        try:
            self._advance(watch, hour_us)
        except Exception as error:
            _log.exception("%s of %s/%s could not be watched", watch.service, watch.project, watch.environment)
            return error
        return None

    def _advance(self, watch: Watch, hour_us: int) -> None:
        """Take in the labels that became usable; evaluate the windows that have ended, and at once when the loss passed.

        The first window's transaction keeps both the labels as counted and the alert that follows from them: a process that
        dies before the next window loses neither.
        """
        if hour_us <= watch.state.loss_until_us:
            return
        ends = _window_ends(watch, hour_us)
        state, reached = self._take_labels(watch, watch.state, hour_us)
        if reached is not None and (not ends or ends[-1] < hour_us):
            ends.append(hour_us)
        if not ends:
            if state.loss.counted != watch.state.loss.counted:
                with self._ledger.write() as tx:
                    tx.execute(store.ADVANCE_WATCH, (_json(state), watch.until_us, watch.deployment))
            return
        since = watch.until_us
        for end in ends:
            with self._ledger.read() as reader:
                passed = reached if end == ends[0] else None
                evaluation = evaluate_window(reader, watch, self._reference(watch), state, since, end, passed)
            state, since = evaluation.state, end
            self._commit(watch, evaluation)

    def _take_labels(self, watch: Watch, state: WatchState, until_us: int) -> tuple[WatchState, float | None]:
        expected = watch.terms.expected_loss
        if expected is None:
            return state, None
        with self._ledger.read() as reader:
            rows = store.usable_labels(
                reader, watch.scope, watch.service, watch.deployment, watch.terms.matures_us, state.loss_until_us, until_us
            )
        losses = [row_loss(row["output"], row["value"], watch.terms.kind) for row in rows]
        step = advance_loss(state.loss, losses, expected, watch.terms.retrain_cost)
        return msgspec.structs.replace(state, loss=step.state, loss_until_us=until_us), step.reached

    def _commit(self, watch: Watch, evaluation: Evaluation) -> None:
        id, report = new_id("win"), evaluation.report
        with self._ledger.write() as tx, within(watch.scope):
            with because(watch.deployed, *evaluation.logged):
                seq = tx.emit(_event(id, watch, evaluation), id)
            head = (id, *watch.place, watch.deployment, evaluation.since_us, evaluation.until_us)
            tx.execute(store.INSERT_WINDOW, (*head, _json(report), seq))
            tx.execute(store.ADVANCE_WATCH, (_json(evaluation.state), evaluation.until_us, watch.deployment))
            with because(seq):
                for finding in evaluation.findings:
                    fire(tx, watch.scope, watch.service, watch.deployment, watch.terms.model, finding)
                for alert in open_alerts(tx, watch.scope, watch.service):
                    if (alert.kind, alert.feature) in evaluation.calm:
                        resolve(tx, watch.scope, alert.id, Phrase("resolved.calm"))

    def _reference(self, watch: Watch) -> Reference | None:
        if watch.reference is None:
            return None
        if watch.reference not in self._references:
            self._references = {watch.reference: self._load(watch.reference)} | dict(list(self._references.items())[-7:])
        return self._references[watch.reference]


def _window_ends(watch: Watch, hour_us: int) -> list[int]:
    length = watch.terms.monitor.window_us
    last = hour_us // length * length
    first = (watch.until_us // length + 1) * length
    ends = list(range(first, last + 1, length))
    return ends[-_MOST_WINDOWS:]


def _event(id: str, watch: Watch, evaluation: Evaluation) -> WindowEvaluated:
    report = evaluation.report
    overall = report.performance[0]
    judged = any(feature.p_value is not None for feature in report.features) or overall.loss is not None
    return WindowEvaluated(
        window=id,
        service=watch.service,
        deployment=watch.deployment,
        since=from_us(evaluation.since_us),
        until=from_us(evaluation.until_us),
        predictions=report.predictions,
        labelled=overall.labelled,
        verdict="alert" if evaluation.findings else "ok" if judged else "insufficient data",
        loss=overall.loss.value if overall.loss else None,
        excess_loss=report.excess,
        drifting=tuple(feature.name for feature in report.features if feature.drifted),
        p99_seconds=report.serving.p99,
    )


def _json(value: Terms | WatchState | WindowReport) -> str:
    return msgspec.json.encode(value).decode()
