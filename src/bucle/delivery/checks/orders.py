"""What the parent asks a child to rehearse, and what it gets back."""

from typing import Any

import msgspec

from bucle.data import Snapshot
from bucle.delivery.results import Finding
from bucle.project import Criterion, Task
from bucle.registry import Evaluation, GateResult, JudgeOrder


class RehearseOrder(msgspec.Struct, frozen=True):
    """Rehearse a pipeline on the newest mature rows that the snapshot shows."""

    pipeline: str
    model: str
    snapshot: Snapshot
    settings: dict[str, Any]
    task: Task | None
    criteria: tuple[Criterion, ...]


class Learning(msgspec.Struct, frozen=True):
    """Losses on rows that were learned from, the trivial baseline's on the same; `curves` are metrics logged by step."""

    loss: float
    baseline: float
    few_loss: float
    few_baseline: float
    curves: dict[str, list[float]]


class RehearseAnswer(msgspec.Struct, frozen=True):
    """What came of it. `where` is the step that made the model, `example` a row of the sample; findings by their subject.

    `lengths` are the window and the holdout that the pipeline asked for.
    """

    rows: int
    estimator: str
    where: str | None
    learning: Learning | None
    package: str | None
    evaluation: Evaluation | None
    example: dict[str, Any] = {}
    training_set: str = ""
    lengths: dict[str, str] = {}
    learning_problems: list[Finding] = []
    number_problems: list[Finding] = []
    package_problems: list[Finding] = []


class JudgeRehearsal(msgspec.Struct, frozen=True):
    """Ask all gates about a rehearsal's evaluation."""

    order: JudgeOrder


class Judged(msgspec.Struct, frozen=True):
    """What the gates found."""

    gates: list[GateResult]
