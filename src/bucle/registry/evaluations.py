"""What an evaluation found: metrics over all rows and each slice, against a trivial baseline. Plain structs; nothing heavy."""

from html import escape
from typing import Literal

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.project import Task


class Baseline(msgspec.Struct, frozen=True):
    """What always answering the same would cost on the same rows, and by how much the model is better (BR-M5).

    `value` is the answer: the share of positives, or the mean, of the training label; `source` says of which rows.
    `gain` is the mean of (baseline's loss - model's loss) per row, with one-sided 95 % bounds; for these `groups` days, hours
    or rows (`unit`) count as independent.
    """

    value: tuple[float, ...]
    source: str
    metrics: dict[str, float]
    gain: float
    gain_low: float
    gain_high: float
    groups: int = 0
    unit: Literal["day", "hour", "row"] = "row"


class SliceResult(msgspec.Struct, frozen=True):
    """The rows that have one value of a column. `enough` is false when they are too few to judge by.

    `gain_low` and `gain_high` hold at 95 % for this slice alone. Where `gain_high` is below zero, `joint_high` is the upper
    bound that holds for all slices of the evaluation at once; elsewhere it is None.
    """

    column: str
    value: str
    rows: int
    positives: int | None
    metrics: dict[str, float]
    enough: bool
    gain: float
    gain_low: float
    gain_high: float
    joint_high: float | None = None


class Evaluation(msgspec.Struct, frozen=True):
    """How a model did on rows that it had not learned from.

    `metrics` hold what the rows define, `undefined` the names of what they do not. `losses` is the artifact of each row's
    loss, in order, `hours` that of each row's hour; two evaluations with the same `rows_id` are of the same rows. `model` is
    the artifact of the model's bytes. `id` is the artifact of this struct.
    """

    task: Task
    label: str
    model: str
    rows: int
    positives: int | None
    metrics: dict[str, float]
    undefined: tuple[str, ...]
    slices: tuple[SliceResult, ...]
    baseline: Baseline
    mean_loss: float
    losses: str
    rows_id: str
    first_us: int | None
    last_us: int | None
    columns: tuple[str, ...]
    seed: int
    hours: str = ""
    training: dict[str, float] = {}
    id: str = ""

    def slices_by(self, column: str) -> tuple[SliceResult, ...]:
        """Return the slices of one column."""
        return tuple(each for each in self.slices if each.column == column)

    def _repr_html_(self) -> str:
        heads = ["", "rows", *self.metrics]
        lines = [("all", self.rows, self.metrics), ("baseline", self.rows, self.baseline.metrics)]
        lines += [(f"{each.column} = {each.value}", each.rows, each.metrics) for each in self.slices]
        cells = ["".join(f"<th>{escape(head)}</th>" for head in heads)]
        for name, rows, metrics in lines:
            values = [f"{metrics[key]:.4g}" if key in metrics else "" for key in self.metrics]
            cells.append("".join(f"<td>{escape(text)}</td>" for text in [name, f"{rows:,}", *values]))
        return "<table>" + "".join(f"<tr>{each}</tr>" for each in cells) + "</table>"


def read_evaluation(store: ArtifactStore, id: str) -> Evaluation:
    """Return the evaluation of an artifact. Raises what the store raises."""
    return msgspec.structs.replace(store.get_json(id, Evaluation), id=id)


def keep_evaluation(store: ArtifactStore, evaluation: Evaluation) -> Evaluation:
    """Keep an evaluation as an artifact and return it with its id."""
    return msgspec.structs.replace(evaluation, id=store.put_json(msgspec.structs.replace(evaluation, id="")))
