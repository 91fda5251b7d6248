"""The pages of services: all of them by environment, and one with its traffic, its performance, its drift and its losses."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bucle.delivery import RolloutShown, list_rollouts, show
from bucle.ledger import Reader, Scope, to_us
from bucle.monitoring import Alert, Budget, FeatureReport, LossLedger, NotWatched, Performance, StoredWindow, summarize
from bucle.server.pages.chart import Chart, Point, draw
from bucle.server.pages.environments import visible_environments
from bucle.server.pages.page import Page
from bucle.server.routing import Call
from bucle.serving import (
    Caller,
    Deployment,
    LoggedPrediction,
    NothingDeployed,
    Services,
    Traffic,
    callers,
    current_deployment,
    list_deployments,
    recent_predictions,
    traffic_between,
)

_DAY = timedelta(days=1)
_PREDICTIONS, _WINDOWS, _DEPLOYMENTS, _ROLLOUTS = 20, 60, 10, 50
LIVE = ("serving.", "monitoring.")


@dataclass(frozen=True, slots=True)
class TrafficFigures:
    """What passed through a service in the last day of the home's clock; seconds, upper bounds of their bucket."""

    requests: int
    predictions: int
    refused: int
    failed: int
    p50: float | None
    p90: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service in an environment; `deployment` is None when nothing answers, `verdict` when nothing watches it."""

    name: str
    environment: str
    deployment: Deployment | None
    verdict: str | None
    alerts: int
    traffic: TrafficFigures


@dataclass(frozen=True, slots=True)
class ServicesDocument:
    """All services that were ever deployed, by environment."""

    services: list[ServiceRow]


@dataclass(frozen=True, slots=True)
class Drift:
    """One input in the newest window: how far from training, how sure the detector is; None is insufficient data."""

    name: str
    rows: int
    nulls: int
    unseen: int
    distance: float | None
    p_value: float | None
    evidence: float | None
    threshold: float | None
    drifted: bool


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window that was judged: its predictions, and the performance on those that matured in it."""

    id: str
    deployment: str
    since: datetime
    until: datetime
    predictions: int
    performance: Performance
    excess: float
    p99: float | None
    sentences: list[str]
    event: int


@dataclass(frozen=True, slots=True)
class Watched:
    """What monitoring knows of a service, with its curves as they are drawn."""

    verdict: str
    monitor: str
    false_pages_per_month: float
    watched_until: datetime
    model_age: timedelta | None
    has_reference: bool
    loss: LossLedger
    objectives: list[Budget]
    alerts: list[Alert]
    windows: list[WindowRow]
    drift: list[Drift]
    drift_window: str | None
    slices: list[Performance]
    loss_chart: Chart | None
    auc_chart: Chart | None
    coverage_chart: Chart | None
    excess_chart: Chart | None


@dataclass(frozen=True, slots=True)
class ServiceDocument:
    """One service in one environment; `rollout` is the one that is on, else its last."""

    name: str
    environment: str
    environments: list[str]
    deployment: Deployment | None
    traffic: TrafficFigures
    watched: Watched | None
    rollout: RolloutShown | None
    predictions: list[LoggedPrediction]
    deployments: list[Deployment] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)


def services_document(call: Call) -> ServicesDocument:
    """Return all services of the project by environment."""
    call.house.part(Services).flush()
    with call.house.ledger.read() as reader:
        scopes = visible_environments(call, reader, "serving.read")
        return ServicesDocument([_row(call, reader, scope, name) for scope in scopes for name in _names(reader, scope)])


def service_document(call: Call) -> ServiceDocument:
    """Return one service, in the environment that is asked for. Raises `serving/nothing-deployed`."""
    name = call.path["service"]
    call.house.part(Services).flush()
    with call.house.ledger.read() as reader:
        elsewhere = [each for each in visible_environments(call, reader, "serving.read") if name in _names(reader, each)]
        if not elsewhere:
            raise NothingDeployed(service=name, environment=call.scope.environment)
        scope = call.scope if "environment" in call.request.query_params else elsewhere[-1]
        if scope not in elsewhere:
            raise NothingDeployed(service=name, environment=scope.environment)
        document = ServiceDocument(
            name=name,
            environment=scope.environment,
            environments=[each.environment for each in elsewhere],
            deployment=current_deployment(reader, scope, name),
            traffic=_traffic(call, reader, scope, name),
            watched=_watched(call, reader, scope, name),
            rollout=_rollout(call, reader, scope, name),
            predictions=recent_predictions(reader, scope, name, _PREDICTIONS),
            deployments=list_deployments(reader, scope, name, _DEPLOYMENTS),
            callers=callers(reader, scope, name),
        )
    if call.request.url.path.endswith(".json") and document.predictions:  # a program reads; a person who looks consumes nothing
        services, now_us = call.house.part(Services), call.house.ledger.clock.now_us()
        services.readings.note(scope, name, call.client, len(document.predictions), now_us)
    return document


def _names(reader: Reader, scope: Scope) -> list[str]:
    return sorted({each.service for each in list_deployments(reader, scope, limit=1000)})


def _row(call: Call, reader: Reader, scope: Scope, name: str) -> ServiceRow:
    deployment = current_deployment(reader, scope, name)
    traffic = _traffic(call, reader, scope, name)
    try:
        summary = summarize(reader, scope, name, call.house.ledger.clock.now())
    except NotWatched:
        return ServiceRow(name, scope.environment, deployment, None, 0, traffic)
    return ServiceRow(name, scope.environment, deployment, summary.verdict, len(summary.alerts), traffic)


def _traffic(call: Call, reader: Reader, scope: Scope, name: str) -> TrafficFigures:
    now = call.house.ledger.clock.now()
    found: Traffic = traffic_between(reader, scope, name, to_us(now - _DAY), to_us(now) + 1)
    p50, p90, p99 = (found.quantile(share) for share in (0.5, 0.9, 0.99))
    return TrafficFigures(found.requests, found.predictions, found.refused, found.failed, p50, p90, p99)


def _rollout(call: Call, reader: Reader, scope: Scope, name: str) -> RolloutShown | None:
    found = list_rollouts(reader, scope, _ROLLOUTS) if call.may("delivery.read", scope) else []
    newest = next((each for each in found if each.service == name), None)
    return show(reader, newest, call.house.ledger.clock.now(), call.language, points=False) if newest else None


def _watched(call: Call, reader: Reader, scope: Scope, name: str) -> Watched | None:
    if not call.may("monitoring.read", scope):
        return None
    try:
        summary = summarize(reader, scope, name, call.house.ledger.clock.now(), _WINDOWS)
    except NotWatched:
        return None
    windows = [_window(each) for each in summary.windows]
    drift = next((each for each in summary.windows if each.report.features), None)
    sliced = next((each for each in summary.windows if _says_something(each)), None)
    return Watched(
        verdict=summary.verdict,
        monitor=summary.monitor,
        false_pages_per_month=summary.false_pages_per_month,
        watched_until=summary.watched_until,
        model_age=summary.model_age,
        has_reference=summary.has_reference,
        loss=replace(summary.loss, sentence=summary.loss.said.text(call.language)),
        objectives=summary.objectives,
        alerts=[each.told(call.language) for each in summary.alerts],
        windows=windows,
        drift=[_drift(each) for each in drift.report.features] if drift else [],
        drift_window=drift.id if drift else None,
        slices=sliced.report.performance if sliced else [],
        loss_chart=draw(_losses(windows), summary.loss.expected),
        auc_chart=draw(_areas(windows), from_zero=False),
        coverage_chart=draw(_coverage(windows)),
        excess_chart=draw(_excess(summary.windows), summary.loss.retrain_cost),
    )


def _window(window: StoredWindow) -> WindowRow:
    report = window.report
    return WindowRow(
        id=window.id,
        deployment=window.deployment,
        since=window.since,
        until=window.until,
        predictions=report.predictions,
        performance=report.performance[0],
        excess=report.excess,
        p99=report.serving.p99,
        sentences=report.sentences,
        event=window.event,
    )


def _says_something(window: StoredWindow) -> bool:
    return any(each.loss is not None for each in window.report.performance)


def _drift(feature: FeatureReport) -> Drift:
    counts = feature.profile
    return Drift(
        name=feature.name,
        rows=counts.rows,
        nulls=counts.nulls,
        unseen=counts.unseen,
        distance=feature.distance,
        p_value=feature.p_value,
        evidence=feature.evidence,
        threshold=feature.threshold,
        drifted=feature.drifted,
    )


def _losses(windows: list[WindowRow]) -> list[Point]:
    return [
        Point(each.until, loss.value, loss.low, loss.high, each.deployment)
        if (loss := each.performance.loss)
        else Point(each.until, None, part=each.deployment)
        for each in reversed(windows)
    ]


def _areas(windows: list[WindowRow]) -> list[Point]:
    return [
        Point(each.until, auc.value, auc.low, auc.high, each.deployment)
        if (auc := each.performance.auc)
        else Point(each.until, None, part=each.deployment)
        for each in reversed(windows)
    ]


def _coverage(windows: list[WindowRow]) -> list[Point]:
    """Of the predictions whose label was due, the percent that has one."""
    shares = [(each, each.performance.coverage) for each in reversed(windows)]
    return [Point(each.until, None if share is None else 100 * share, part=each.deployment) for each, share in shares]


def _excess(windows: list[StoredWindow]) -> list[Point]:
    """What the rule had summed up at the end of each window; before the first label there is nothing to show."""
    return [
        Point(each.until, each.report.excess if each.report.loss.counted else None, part=each.deployment)
        for each in reversed(windows)
    ]


PAGES = (
    Page(
        "/projects/{project}/services",
        "services.html.j2",
        services_document,
        "serving.read",
        "Services.",
        live=LIVE,
        reach="any",
    ),
    Page(
        "/projects/{project}/services/{service}",
        "service.html.j2",
        service_document,
        "serving.read",
        "Service.",
        live=LIVE,
        reach="any",
    ),
)
