"""What pipelines tell the other rooms."""

from dataclasses import dataclass, field
from datetime import datetime

from bucle.ledger import Event


@dataclass(frozen=True, slots=True)
class RunStarted(Event, kind="pipelines.run_started", version=1):
    """A run of a pipeline began; `trigger` is demand, schedule, new_data, degradation or drift."""

    pipeline: str
    trigger: str
    engine: str
    commit: str | None
    dirty: bool
    lock: str
    code: str
    parameters: dict[str, object]
    configuration: str
    same_configuration_as: str | None
    as_of: datetime
    seed: int


@dataclass(frozen=True, slots=True)
class RunResumed(Event, kind="pipelines.run_resumed", version=1):
    """A run was taken up again after its driver, a worker or the server had died, or after it had failed."""

    pipeline: str
    epoch: int
    reason: str
    committed_steps: int
    code_changed: bool


@dataclass(frozen=True, slots=True)
class StepStarted(Event, kind="pipelines.step_started", version=1):
    """An attempt at a step was handed to a worker (the engine `inline` has none: its driver goes from step to step)."""

    run: str
    step: str
    call: str
    attempt: int
    inputs: list[str]


@dataclass(frozen=True, slots=True)
class StepFinished(Event, kind="pipelines.step_finished", version=1):
    """A step's output is committed: by its own attempt, or taken from the cache; `miss` says why it had to run.

    `reads` are files and hosts that the project's code read beside the step's inputs (S-06); a hit read nothing.
    """

    run: str
    step: str
    call: str
    attempt: int
    hit: bool
    miss: list[str]
    runtime: str
    node: str
    pid: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    inputs: list[str]
    outputs: list[str]
    reads: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event, kind="pipelines.attempt_failed", version=1):
    """An attempt at a step ended without a result: failed, timed out, lost with its process, or cancelled."""

    run: str
    step: str
    call: str
    attempt: int
    state: str
    reason: str
    where: str | None
    log: str | None
    retried: bool


@dataclass(frozen=True, slots=True)
class RunFinished(Event, kind="pipelines.run_finished", version=1):
    """All steps of a run are committed, and its model version, if it makes one, is registered."""

    pipeline: str
    steps: int
    hits: int
    seconds: float
    model_version: str | None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFailed(Event, kind="pipelines.run_failed", version=1):
    """A run ended without a result; `state` is failed or cancelled."""

    pipeline: str
    state: str
    code: str
    reason: str
    where: str | None
    next: str


@dataclass(frozen=True, slots=True)
class TriggerCoalesced(Event, kind="pipelines.trigger_coalesced", version=1):
    """A trigger fired while a run of its pipeline was active: that run stands for both."""

    pipeline: str
    trigger: str
    run: str
