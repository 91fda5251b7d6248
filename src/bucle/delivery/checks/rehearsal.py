"""In the child: a pipeline rehearsed on a sample of the data. Does it learn, does it answer with numbers, can it be packaged?

One sample serves all of these checks. Imported only in children.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data import Snapshot, load_manifest
from bucle.delivery.checks.orders import Judged, JudgeRehearsal, Learning, RehearseAnswer, RehearseOrder
from bucle.delivery.errors import NoModel
from bucle.delivery.results import Finding
from bucle.errors import BucleError
from bucle.features import TrainingFrame, TrainingSet, build_frame
from bucle.ledger import from_us, to_us
from bucle.pipelines import Pipeline, StepCall, rehearse
from bucle.registry import Evaluation, Gate, evaluate_model, package_model, run_gates, slices_needed
from bucle.tracking import RunLog, collecting

if TYPE_CHECKING:
    from bucle.runtimes import Child

SAMPLE_ROWS = 4000
FEW_RECORDS = 16
_COPIES = 32
_PAST = 0.75
LEARNED = 0.999
"""The loss on the rows that were learned from must be below this share of the baseline's."""

MEMORISED = 0.9
"""The same for a few records that were shown again and again: a trainer that works overfits them (G2-ci)."""


def rehearse_in_child(order: RehearseOrder, child: "Child") -> RehearseAnswer:
    """Entry point of a child. Failures of the project's code are those of the call."""
    stage = _Stage(order, child)
    past, recent, trained = stage.train(stage.sample)
    model, where = trained
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    numbers = _numbers(model, recent, stage.log, where)
    learning: Learning | None = None
    evaluation: Evaluation | None = None
    package: str | None = None
    learning_problems: list[Finding] = []
    package_problems: list[Finding] = []
    if not numbers:
        slices = slices_needed(order.criteria, stage.slices)
        learning, learning_problems = _learning(stage, model, past, where)
        try:
            evaluation = evaluate_model(model, recent, slices, order.task, trained_on=past, store=stage.store)
            package = package_model(stage.store, model, past.columns, past.label, order.task, recent.X[:5], own=stage.own).id
        except BucleError as error:
            package_problems = [Finding(f"{error.code}: {error.text}", error.where or where, error.next_step)]
    return RehearseAnswer(
        rows=len(past) + len(recent),
        estimator=name,
        where=where,
        learning=learning,
        package=package,
        evaluation=evaluation,
        example=_example(recent),
        training_set=recent.facts.training_set,
        lengths=stage.lengths,
        learning_problems=learning_problems,
        number_problems=numbers,
        package_problems=package_problems,
    )


def judge_in_child(payload: JudgeRehearsal, child: "Child") -> Judged:
    """Entry point of a child: run all gates, also the project's own."""
    own = child.definitions().of(Gate)
    return Judged(run_gates(payload.order, ArtifactStore(child.artifacts), own))


class _Stage:
    """A pipeline, its sample, and what the last performance left."""

    def __init__(self, order: RehearseOrder, child: "Child") -> None:
        self.order = order
        self.root = child.root
        self.definitions = child.definitions()
        self.store = ArtifactStore(child.artifacts)
        self.pipeline = self.definitions.get(Pipeline, order.pipeline)
        self.own = _own_modules(self.definitions)
        self.log = RunLog()
        self.slices: tuple[str, ...] = ()
        self.lengths: dict[str, str] = {}
        self._samples: dict[str, TrainingFrame] = {}

    def sample(self, training_set: str, lengths: Mapping[str, Any]) -> tuple[TrainingFrame, TrainingFrame]:
        """Return past and recent of the newest rows, whatever window the pipeline wants."""
        frame = self._sample_of(training_set)
        cut = int(len(frame) * _PAST)
        return replace(frame, table=frame.table.head(cut)), replace(frame, table=frame.table.tail(len(frame) - cut))

    def few(self, training_set: str, lengths: Mapping[str, Any]) -> tuple[TrainingFrame, TrainingFrame]:
        """Return a few records again and again, as past and as recent."""
        frame = few_records(self._sample_of(training_set))
        return frame, frame

    def train(self, frames: Any) -> tuple[TrainingFrame, TrainingFrame, tuple[Any, str | None]]:
        """Rehearse and return the frames that were given out last, with the model and the place of the step that made it."""
        given: list[tuple[TrainingFrame, TrainingFrame]] = []

        def give(training_set: str, lengths: Mapping[str, Any]) -> tuple[TrainingFrame, TrainingFrame]:
            given.append(frames(training_set, lengths))
            self.lengths = {name: str(length) for name, length in lengths.items()}
            return given[-1]

        self.log = RunLog()
        with collecting(self.log, artifacts=self.store, settings=self.order.settings):
            calls = rehearse(self.pipeline, self.root, give)
        self.slices = self.slices or _slices(calls)
        call, estimator = _trained(calls)
        if call is None or not given:
            raise NoModel(pipeline=self.order.pipeline, model=self.order.model, where=self._place(self.pipeline))
        return (*given[-1], (estimator, self._place(self.definitions.get("step", call.step))))

    def _place(self, definition: Any) -> str:
        file = str(definition.file).removeprefix(f"{self.root}/")
        return f"{file}:{definition.line}"

    def _sample_of(self, name: str) -> TrainingFrame:
        if name not in self._samples:
            declared = self.definitions.get(TrainingSet, name)
            start = _start(self.store, self.order.snapshot, declared)
            frame = build_frame(self.store, self.definitions, self.order.snapshot, name, start)
            step = math.ceil(len(frame) / (2 * SAMPLE_ROWS))
            self._samples[name] = replace(frame, table=frame.table.gather_every(step)) if step > 1 else frame
        return self._samples[name]


def few_records(frame: TrainingFrame) -> TrainingFrame:
    """Return a few records, of each class as many, repeated so often that any minimum of rows per leaf is met."""
    table, label = frame.table, frame.label
    share = table[label].n_unique()
    if share <= FEW_RECORDS // 2:
        chosen = table.group_by(label, maintain_order=True).head(max(1, FEW_RECORDS // share)).select(table.columns)
    else:
        chosen = table.head(FEW_RECORDS)
    return replace(frame, table=pl.concat([chosen] * _COPIES))


def _learning(stage: _Stage, model: Any, past: TrainingFrame, where: str | None) -> tuple[Learning | None, list[Finding]]:
    task, curves = stage.order.task, _curves(stage.log)
    whole = evaluate_model(model, past, (), task, trained_on=past)
    few_frame, _, (few_model, _) = stage.train(stage.few)
    few = evaluate_model(few_model, few_frame, (), task, trained_on=few_frame)
    learning = Learning(whole.mean_loss, _baseline(whole), few.mean_loss, _baseline(few), curves)
    return learning, list(not_learned(learning, where))


def not_learned(learning: Learning, where: str | None) -> "list[Finding]":
    """Return what is wrong with losses: they must fall, below the baseline's, and vanish for a few records."""
    findings = []
    if learning.loss > LEARNED * learning.baseline:
        said = (
            f"the loss on the rows that it learned from is {learning.loss:.4g}, the trivial baseline's {learning.baseline:.4g}"
        )
        findings.append(Finding(f"the model does not learn: {said}", where, "Look at labels, inputs and learning rate."))
    if learning.few_loss > MEMORISED * learning.few_baseline:
        said = (
            f"the loss on {FEW_RECORDS} repeated records is {learning.few_loss:.4g}, the baseline's {learning.few_baseline:.4g}"
        )
        findings.append(Finding(f"the model cannot memorise a few records: {said}", where, "Look at the training code."))
    for name, values in learning.curves.items():
        if len(values) > 1 and values[-1] >= values[0]:
            said = f"the logged metric {name!r} goes from {values[0]:.4g} to {values[-1]:.4g}"
            findings.append(Finding(f"the loss does not fall: {said}", where, "Look at the learning rate."))
    return findings


def _baseline(evaluation: Evaluation) -> float:
    return evaluation.mean_loss + evaluation.baseline.gain


def _numbers(model: Any, frame: TrainingFrame, log: RunLog, where: str | None) -> list[Finding]:
    """Predictions on inputs as they are, with nulls among them, and every logged metric."""
    findings = []
    for name in ("predict", "predict_proba"):
        if not hasattr(model, name):
            continue
        answers = np.asarray(getattr(model, name)(frame.X))
        if answers.dtype.kind == "f" and not np.isfinite(answers).all():
            count = int((~np.isfinite(answers)).sum())
            advice = "Impute what is missing, look for divisions by zero."
            findings.append(Finding(f"{count} of {answers.size} answers of {name} are NaN or infinite", where, advice))
    findings += [
        Finding(f"the logged metric {point.name!r} is {point.number} at step {point.step}", where)
        for point in log.metrics
        if not math.isfinite(point.number)
    ]
    return findings


def _example(frame: TrainingFrame) -> dict[str, Any]:
    """The row with the fewest nulls, as a caller would write it in JSON."""
    names = [column.name for column in frame.columns]
    nulls = frame.table.select(pl.sum_horizontal(pl.col(name).is_null() for name in names))
    row = frame.table.row(int(nulls.to_series().arg_min() or 0), named=True)
    plain = (str, int, float, bool)
    return {name: row[name] if isinstance(row[name], plain) else None for name in names}


def _curves(log: RunLog) -> dict[str, list[float]]:
    """Metrics called a loss that were logged at several steps, in their order."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for point in log.metrics:
        if "loss" in point.name.lower():
            curves.setdefault(point.name, []).append((point.step, point.number))
    return {name: [value for _, value in sorted(points)] for name, points in curves.items() if len(points) > 1}


def _start(store: ArtifactStore, snapshot: Snapshot, declared: TrainingSet) -> Any:
    """Return the moment from which about `SAMPLE_ROWS` mature rows are seen, None for all."""
    version = snapshot.versions.get(declared.spine_name)
    if version is None:
        return None
    manifest = load_manifest(store, version.manifest)
    mature = snapshot.as_of_us - to_us(from_us(0) + declared.label.delay)
    last = bisect_right(manifest.hours, mature)
    rows = 0
    for place in range(last - 1, -1, -1):
        rows += manifest.counts[place]
        if rows >= SAMPLE_ROWS:
            return from_us(manifest.hours[place])
    return None


def _trained(calls: Sequence[StepCall]) -> tuple[StepCall | None, Any]:
    """The model that was evaluated last and the call that made it, else the last estimator that a step returned."""
    evaluated = next((call.arguments["model"] for call in reversed(calls) if call.step == "evaluate"), None)
    for call in reversed(calls):
        estimator = _estimator(call.value)
        if estimator is not None and (evaluated is None or evaluated is estimator):
            return call, estimator
    return None, None


def _estimator(value: Any) -> Any:
    """A step's value that can predict, or such an item of it."""
    if hasattr(value, "predict"):
        return value
    if isinstance(value, tuple | list):
        return next((each for each in value if hasattr(each, "predict")), None)
    return None


def _slices(calls: Sequence[StepCall]) -> tuple[str, ...]:
    declared = [call.arguments["slices"] for call in calls if call.arguments.get("slices")]
    return tuple(declared[-1]) if declared and not isinstance(declared[-1], str) else ()


def _own_modules(definitions: Any) -> tuple[str, ...]:
    """The project's top modules, whose types a package may name."""
    return tuple(sorted({each.function.__module__.split(".")[0] for each in definitions.of("step")}))
