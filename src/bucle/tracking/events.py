"""What the tracking room tells the others: runs begin and end, training iterations are recorded."""

from dataclasses import dataclass
from typing import Any

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class ExperimentCreated(Event, kind="tracking.experiment_created", version=1):
    """The first run of an experiment of that name was begun in the project."""

    experiment: str
    name: str


@dataclass(frozen=True, slots=True)
class ExperimentChanged(Event, kind="tracking.experiment_changed", version=1):
    """An experiment was renamed, deleted or restored; `stage` is active or deleted."""

    experiment: str
    name: str
    stage: str
    name_before: str
    stage_before: str


@dataclass(frozen=True, slots=True)
class ExperimentTagged(Event, kind="tracking.experiment_tagged", version=1):
    """A tag of an experiment was set; a `value` of None says that it was removed."""

    experiment: str
    tag: str
    value: str | None


@dataclass(frozen=True, slots=True)
class RunChanged(Event, kind="tracking.run_changed", version=1):
    """A run was renamed, deleted or restored; `stage` is active or deleted. A deleted run keeps all that it recorded."""

    run: str
    name: str
    stage: str
    name_before: str
    stage_before: str


@dataclass(frozen=True, slots=True)
class RunStarted(Event, kind="tracking.run_started", version=1):
    """A run of a pipeline, a step or a script began; `data` are the dataset versions that it reads."""

    run: str
    name: str
    run_kind: str
    purpose: str
    experiment: str
    parent: str | None
    commit: str | None
    dirty: bool
    lock: str | None
    data: tuple[str, ...]
    engine: str


@dataclass(frozen=True, slots=True)
class RunFinished(Event, kind="tracking.run_finished", version=1):
    """A run ended: succeeded, failed or cancelled; `duration_us` in microseconds."""

    run: str
    name: str
    run_kind: str
    purpose: str
    status: str
    duration_us: int
    error: str | None


@dataclass(frozen=True, slots=True)
class RunRevived(Event, kind="tracking.run_revived", version=1):
    """A script whose run had been ended because nothing was heard of it was heard again: the run goes on."""

    run: str
    name: str


@dataclass(frozen=True, slots=True)
class IterationRecorded(Event, kind="tracking.iteration_recorded", version=1):
    """A training iteration succeeded, or was evaluated: its place among those of its parent, what its record lacks of K-MD."""

    run: str
    parent: str | None
    iteration: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactNoted(Event, kind="tracking.fact_noted", version=1):
    """A room noted a fact while a run worked: `features.frame_read` (K-13, K-18), `features.split_made` (K-14, K-19)."""

    run: str
    fact: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelLogged(Event, kind="tracking.model_logged", version=1):
    """A run or a script said that it makes a model; its files are still to come."""

    model: str
    name: str
    experiment: str
    model_type: str
    source_run: str | None


@dataclass(frozen=True, slots=True)
class LoggedModelChanged(Event, kind="tracking.logged_model_changed", version=1):
    """The files of a logged model are all there (ready) or did not come (failed); or it was deleted."""

    model: str
    name: str
    status: str
    stage: str
    status_before: str
    stage_before: str
