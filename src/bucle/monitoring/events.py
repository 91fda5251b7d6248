"""What monitoring tells the other rooms."""

from dataclasses import dataclass
from datetime import datetime

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class WatchStarted(Event, kind="monitoring.watch_started", version=1):
    """A deployment is watched from now on; `reference` is the profile of its training data, empty where there is none."""

    deployment: str
    service: str
    monitor: str
    reference: str
    retrain_cost: float | None
    expected_loss: float | None
    false_pages_per_month: float


@dataclass(frozen=True, slots=True)
class WindowEvaluated(Event, kind="monitoring.window_evaluated", version=1):
    """A stretch of the prediction log was judged: inputs, performance on mature labels, age, serving.

    Causes: the deployment and the first and last batch of the prediction log. `verdict` is "ok", "alert" or "insufficient
    data". The subject is the window.
    """

    window: str
    service: str
    deployment: str
    since: datetime
    until: datetime
    predictions: int
    labelled: int
    verdict: str
    loss: float | None
    excess_loss: float
    drifting: tuple[str, ...]
    p99_seconds: float | None


@dataclass(frozen=True, slots=True)
class AlertFired(Event, kind="monitoring.alert_fired", version=1):
    """Something about a service wants attention: kind "degradation", "drift", "data_quality" or "staleness".

    `feature` is the input that it is about, if it is about one. The subject is the alert.
    """

    alert: str
    alert_kind: str
    service: str
    deployment: str
    model: str
    feature: str | None
    sentence: str
    numbers: dict[str, float]


@dataclass(frozen=True, slots=True)
class AlertAcknowledged(Event, kind="monitoring.alert_acknowledged", version=1):
    """A person has seen an alert and takes care of it. The subject is the alert."""

    alert: str
    note: str


@dataclass(frozen=True, slots=True)
class AlertResolved(Event, kind="monitoring.alert_resolved", version=1):
    """An alert's reason is gone, by a person's word or by what later windows showed. The subject is the alert."""

    alert: str
    note: str


@dataclass(frozen=True, slots=True)
class AlertDelivered(Event, kind="monitoring.alert_delivered", version=1):
    """A receiver has taken a change of an alert; `detail` is its answer in a word. Cause: the change. Subject: the delivery."""

    delivery: str
    alert: str
    alert_state: str
    route: str
    route_kind: str
    attempts: int
    detail: str


@dataclass(frozen=True, slots=True)
class AlertDeliveryFailed(Event, kind="monitoring.alert_delivery_failed", version=1):
    """A change of an alert is not tried again: `detail` says why. Cause: the change. The subject is the delivery."""

    delivery: str
    alert: str
    alert_state: str
    route: str
    route_kind: str
    attempts: int
    detail: str


@dataclass(frozen=True, slots=True)
class AlertRouteTested(Event, kind="monitoring.alert_route_tested", version=1):
    """Somebody sent a test alert by a route; `detail` says what became of it. The subject is the route."""

    route: str
    route_kind: str
    delivered: bool
    detail: str
