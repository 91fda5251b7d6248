"""A watch: what monitoring has to know of a deployment, and how far its detectors have come."""

from dataclasses import dataclass

import msgspec

from bucle.ledger import Row, Scope
from bucle.monitoring.betting import DriftState
from bucle.monitoring.loss import LossState
from bucle.monitoring.monitors import MonitorSpec
from bucle.serving import ObjectiveSpec


class Terms(msgspec.Struct, frozen=True):
    """What a deployment is held to, fixed when it began: the monitor, the promise of the hold-out, the cost of a retraining.

    `matures_us` after a prediction its label is final. `trained_us` is the as-of of the model's training data. `inputs` are
    the names of the signature's columns, `slices` those by which performance is shown.
    """

    monitor: MonitorSpec
    model: str
    kind: str
    inputs: tuple[str, ...]
    slices: tuple[str, ...]
    matures_us: int
    trained_us: int | None
    expected_loss: float | None
    retrain_cost: float | None
    objectives: tuple[ObjectiveSpec, ...] = ()


class WatchState(msgspec.Struct, frozen=True):
    """Where the detectors stand: the cumulative loss over labels usable before `loss_until_us`, the bets on drift by input."""

    loss: LossState
    loss_until_us: int
    drift: dict[str, DriftState]


@dataclass(frozen=True, slots=True)
class Watch:
    """A deployment under watch since `since_us`; what was predicted before `until_us` is evaluated.

    `deployed` is the seq of the deployment's event, `event` that of `monitoring.watch_started`.
    """

    deployment: str
    project: str
    environment: str
    service: str
    terms: Terms
    reference: str | None
    state: WatchState
    since_us: int
    until_us: int
    ended: bool
    deployed: int
    event: int

    @property
    def scope(self) -> Scope:
        """Project and environment."""
        return Scope(self.project, self.environment)

    @property
    def place(self) -> tuple[str, str, str]:
        """Project, environment and service, as queries take them."""
        return (self.project, self.environment, self.service)


def watch_of(row: Row) -> Watch:
    """Return the watch of a row."""
    return Watch(
        deployment=row["deployment"],
        project=row["project"],
        environment=row["environment"],
        service=row["service"],
        terms=msgspec.json.decode(row["terms"], type=Terms),
        reference=row["reference"],
        state=msgspec.json.decode(row["state"], type=WatchState),
        since_us=row["since_us"],
        until_us=row["until_us"],
        ended=bool(row["ended"]),
        deployed=row["deployed"],
        event=row["event"],
    )
