"""Evaluating a model on rows that it has not learned from: metrics, slices, a trivial baseline, each row's loss (K-21)."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bucle.features import FrameColumn
from bucle.ledger import to_us
from bucle.project import Task
from bucle.registry.answers import answers, classes_of, coded, task_of
from bucle.registry.bootstrap import LEVEL, Difference, Ints, hours_of, joint_level, paired_difference
from bucle.registry.errors import BadEvaluation
from bucle.registry.evaluations import Baseline, Evaluation, SliceResult
from bucle.registry.frames import aligned, rows_id, slices_of
from bucle.registry.metrics import classification_metrics, regression_metrics, row_losses

if TYPE_CHECKING:
    from bucle.artifacts import ArtifactStore
    from bucle.features import TrainingFrame

Floats = NDArray[np.float64]

FEWEST_ROWS = 100
FEWEST_OF_A_CLASS = 10
"""A slice with fewer rows, or fewer rows of a class, says too little to be judged by: one row moves its metrics by percents."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """Rows with what the model and the trivial baseline answered to them, and the loss of each."""

    task: Task
    y: Floats
    predicted: Floats
    losses: Floats
    trivial: Floats
    trivial_losses: Floats
    seed: int
    hours: Ints | None

    def taken(self, mask: NDArray[np.bool_]) -> "_Scored":
        """Return some of the rows."""
        return replace(
            self,
            y=self.y[mask],
            predicted=self.predicted[mask],
            losses=self.losses[mask],
            trivial=self.trivial[mask],
            trivial_losses=self.trivial_losses[mask],
            hours=None if self.hours is None else self.hours[mask],
        )

    @property
    def gain(self) -> Difference:
        """By how much the model's loss is smaller than the baseline's."""
        return self.gain_at(LEVEL)

    def gain_at(self, level: float) -> Difference:
        """The same with bounds that hold at `level`."""
        return paired_difference(self.trivial_losses, self.losses, self.seed, hours=self.hours, level=level)

    @property
    def positives(self) -> int | None:
        """How many rows are of the second class, None unless there are two."""
        return int((self.y == 1).sum()) if self.task == "classification" and self.predicted.ndim == 1 else None

    @property
    def enough(self) -> bool:
        """Whether the rows are enough to be judged by."""
        if self.task == "regression":
            return len(self.y) >= FEWEST_ROWS
        classes = 2 if self.predicted.ndim == 1 else self.predicted.shape[1]
        counts = np.bincount(self.y.astype(np.int64), minlength=classes)  # one that does not occur is the scarcest
        return len(self.y) >= FEWEST_ROWS and int(np.min(counts)) >= FEWEST_OF_A_CLASS


def evaluate_model(
    model: Any,
    frame: "TrainingFrame",
    slices: Sequence[str] = (),
    task: Task | None = None,
    *,
    trained_on: "TrainingFrame | None" = None,
    columns: Sequence[FrameColumn] | None = None,
    store: "ArtifactStore | None" = None,
    model_id: str = "",
) -> Evaluation:
    """Return how `model` does on `frame`, over all rows and for each value of the columns `slices`.

    `trained_on` is the frame that it learned from: its label gives the trivial baseline, and its metrics stand under
    `training`; without it the baseline knows the mean of the rows at hand, which only makes it harder to beat. `columns` are
    the model's inputs when they are not the frame's. The losses are kept in `store`.
    Raises `registry/bad-evaluation`, `registry/unknown-slice`.
    """
    if not len(frame.y):
        raise BadEvaluation(reason="there are no rows")
    task = task_of(model, task)
    rows = aligned(frame.columns, frame.X, columns or frame.columns)
    scored = _score(model, rows, frame, task, trained_on)
    metrics, undefined = _metrics(scored.task, scored.y, scored.predicted)
    return Evaluation(
        task=task,
        label=frame.label,
        model=model_id,
        rows=len(scored.y),
        positives=scored.positives,
        metrics=metrics,
        undefined=tuple(undefined),
        slices=_slices(scored, [(name, *each) for name in slices for each in slices_of(frame, name)]),
        baseline=_baseline(scored, trained_on is not None),
        mean_loss=float(scored.losses.mean()),
        losses=_keep(store, scored.losses),
        hours="" if scored.hours is None else _keep(store, scored.hours),
        rows_id=rows_id(frame),
        first_us=_moment(frame.times.min()),
        last_us=_moment(frame.times.max()),
        columns=tuple(column.name for column in columns or frame.columns),
        seed=frame.seed,
        training=training_metrics(model, trained_on, task) if trained_on is not None else {},
    )


def training_metrics(model: Any, frame: "TrainingFrame", task: Task | None = None) -> dict[str, float]:
    """Return a model's metrics on the rows that it learned from, for the record of its training (K-MD, G1-md)."""
    task = task_of(model, task)
    metrics, _ = _metrics(task, coded(frame.y, classes_of(model, task)), answers(model, frame.X, task))
    return metrics | {"rows": float(len(frame.y))}


def read_losses(store: "ArtifactStore", id: str) -> Floats:
    """Return the losses of an evaluation's rows."""
    return np.asarray(np.load(io.BytesIO(store.get_bytes(id)), allow_pickle=False), dtype=np.float64)


def read_hours(store: "ArtifactStore", id: str) -> Ints | None:
    """Return the hours of an evaluation's rows, None where its frame has no moments."""
    return np.asarray(np.load(io.BytesIO(store.get_bytes(id)), allow_pickle=False), dtype=np.int64) if id else None


def _score(model: Any, rows: Floats, frame: "TrainingFrame", task: Task, trained_on: "TrainingFrame | None") -> _Scored:
    classes = classes_of(model, task)
    y, predicted = coded(frame.y, classes), answers(model, rows, task)
    learned = coded(trained_on.y, classes) if trained_on is not None and len(trained_on.y) else y
    if predicted.ndim == 1:
        trivial = np.full(len(y), float(learned.mean()))
    else:
        shares = np.bincount(learned.astype(np.int64), minlength=predicted.shape[1]) / len(learned)
        trivial = np.tile(shares, (len(y), 1))
    hours = None if frame.times.null_count() else hours_of(frame.times.dt.epoch("us").to_numpy())
    return _Scored(task, y, predicted, row_losses(y, predicted), trivial, row_losses(y, trivial), frame.seed, hours)


def _metrics(task: Task, y: Floats, predicted: Floats) -> tuple[dict[str, float], list[str]]:
    found = classification_metrics(y, predicted) if task == "classification" else regression_metrics(y, predicted)
    return {name: value for name, value in found.items() if value is not None}, [n for n, v in found.items() if v is None]


def _baseline(scored: _Scored, learned: bool) -> Baseline:
    gain = scored.gain
    return Baseline(
        value=tuple(float(each) for each in np.atleast_1d(scored.trivial[0])),
        source="training rows" if learned else "evaluated rows",
        metrics=_metrics(scored.task, scored.y, scored.trivial)[0],
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        groups=gain.groups,
        unit=gain.unit,
    )


def _slices(scored: _Scored, masks: Sequence[tuple[str, str, NDArray[np.bool_]]]) -> tuple[SliceResult, ...]:
    """Return what each slice has; the more can be judged, the surer it must be that one of them is worse."""
    taken = [(name, value, scored.taken(mask)) for name, value, mask in masks]
    level = joint_level(sum(rows.enough for *_, rows in taken))
    return tuple(_slice(name, value, rows, level) for name, value, rows in taken)


def _slice(column: str, value: str, scored: _Scored, level: float) -> SliceResult:
    gain = scored.gain
    joint = max(gain.high, scored.gain_at(level).high) if gain.negative and scored.enough else None
    return SliceResult(
        column=column,
        value=value,
        rows=len(scored.y),
        positives=scored.positives,
        metrics=_metrics(scored.task, scored.y, scored.predicted)[0],
        enough=scored.enough,
        gain=gain.mean,
        gain_low=gain.low,
        gain_high=gain.high,
        joint_high=joint,
    )


def _keep(store: "ArtifactStore | None", values: Floats | Ints) -> str:
    if store is None:
        return ""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return store.put_bytes(buffer.getvalue())


def _moment(moment: Any) -> int | None:
    return to_us(moment) if moment is not None else None
