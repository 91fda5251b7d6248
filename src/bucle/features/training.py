"""Training sets: which rows, which columns and features, which label; and how they are split in time."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from bucle.features.errors import BadDefinition, DuplicateFeature, OutsidePipeline
from bucle.features.views import RoleView, View, ViewSpec
from bucle.ledger import content_id, parse_duration
from bucle.project import Definition, digest_of

if TYPE_CHECKING:
    import polars as pl

    from bucle.features.frames import TrainingFrame

SPLIT = "bucle.features:split"
"""What a planner gets to plan: the function that makes both frames of a split."""

Planner = Callable[[str, str, Mapping[str, Any]], "tuple[Any, Any]"]

planner: ContextVar[Planner | None] = ContextVar("bucle_split_planner", default=None)
"""Set by `pipelines` while a pipeline's function runs: `.split` then becomes a step and returns two handles."""


class LabelSpec(msgspec.Struct, frozen=True):
    """A label as data: its name, the columns that it is made of, how long after a row it is final; `digest` names the rule."""

    name: str
    columns: tuple[str, ...]
    matures_us: int
    expression: str
    digest: str


class TrainingSetSpec(msgspec.Struct, frozen=True):
    """A training set as data; `digest` changes with any rule that its frames are made by."""

    name: str
    spine: str
    columns: tuple[str, ...]
    views: tuple[ViewSpec, ...]
    label: LabelSpec
    digest: str
    doc: str = ""
    file: str = ""
    line: int = 0


@dataclass(frozen=True, eq=False)
class Label:
    """What is to be predicted: a name, a Polars expression over the spine's columns, and when it is final.

    `matures` ("36h") after a row's timestamp a label that has not come never will (a cancelled flight); such rows are counted
    and left out. A label that becomes known later than training's as-of is not used. Raises `ledger/bad-duration`.
    """

    name: str
    expression: "pl.Expr"
    matures: str | timedelta = "0s"

    def __post_init__(self) -> None:
        if not hasattr(self.expression, "meta"):
            raise BadDefinition(definition=f"The label {self.name!r}", reason="it must be a Polars expression over columns")
        object.__setattr__(self, "matures", parse_duration(self.matures))

    @property
    def delay(self) -> timedelta:
        """How long after a row its label is final."""
        return parse_duration(self.matures)

    def spec(self) -> LabelSpec:
        """Return the label as data."""
        columns = tuple(dict.fromkeys(self.expression.meta.root_names()))
        matures_us = self.delay // timedelta(microseconds=1)
        rule = content_id(_serialised(self.expression))
        return LabelSpec(self.name, columns, matures_us, str(self.expression), digest_of((self.name, rule, matures_us)))


@dataclass(frozen=True, eq=False)
class TrainingSet(Definition):
    """What a model learns from: the rows of the source `spine`, `columns` of it, features as of each row's moment, a label.

    `split` cuts it into a past to learn from and a recent part to be judged by. Source: docs/features.md.
    Raises `features/bad-definition`, `features/duplicate-name`.
    """

    kind: ClassVar[str] = "training_set"
    spine: "Definition | str"
    columns: Sequence[str]
    features: Sequence[View | RoleView]
    label: Label
    name: str = ""

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise BadDefinition(definition="The training set", reason=problem)
        _refuse_duplicates(self)

    @property
    def spine_name(self) -> str:
        """The name of the source whose rows are predicted."""
        return self.spine if isinstance(self.spine, str) else self.spine.required_name()

    def spec(self) -> TrainingSetSpec:
        """Return the training set as data, with its views and its label."""
        views = tuple(msgspec.structs.replace(view.spec(), file="", line=0) for view in self.features)
        label = self.label.spec()
        rules = (self.spine_name, tuple(self.columns), [(view.digest, view.on) for view in views], label.digest)
        return TrainingSetSpec(
            name=self.required_name(),
            spine=self.spine_name,
            columns=tuple(self.columns),
            views=views,
            label=label,
            digest=digest_of(("training_set", *rules)),
            file=self.file,
            line=self.line,
        )

    def split(
        self, *, window: str | timedelta, holdout: str | timedelta, seed: int | None = None
    ) -> "tuple[TrainingFrame, TrainingFrame]":
        """Return the past and the recent frame: `recent` are the mature rows of the last `holdout`, `past` the `window` before.

        Both are in order of time and share no row. In a pipeline these are handles of a step that makes the frames from the
        run's snapshot. Raises `features/outside-pipeline`, `ledger/bad-duration`.
        """
        plan = planner.get()
        if plan is None:
            raise OutsidePipeline(name=self.name or "the training set")
        lengths = {"window": _text(window), "holdout": _text(holdout)}
        return plan(SPLIT, self.required_name(), lengths | ({} if seed is None else {"seed": seed}))


def _problem(training_set: TrainingSet) -> str | None:
    wrong = [type(view).__name__ for view in training_set.features if not isinstance(view, View | RoleView)]
    if wrong:
        return f"features must be views (@bucle.features or bucle.aggregates), not {wrong[0]}"
    if isinstance(training_set.columns, str) or not all(isinstance(column, str) for column in training_set.columns):
        return "columns must be a list of names"
    if not isinstance(training_set.label, Label):
        return f"the label must be a bucle.Label, not {type(training_set.label).__name__}"
    if not training_set.columns and not training_set.features:
        return "it has neither columns nor features"
    return None


def _refuse_duplicates(training_set: TrainingSet) -> None:
    """What can be seen before any data: columns, label, aggregates; names that functions give come with the first rows."""
    owners: dict[str, str] = {}
    named = [(column, "the spine") for column in training_set.columns] + [(training_set.label.name, "the label")]
    for view in training_set.features:
        own = view.view if isinstance(view, RoleView) else view
        prefix = "_".join([*view.roles.values(), ""]) if isinstance(view, RoleView) else ""
        named += [(prefix + name, f"the view {view.name!r}") for name in getattr(own, "columns", ())]
    for name, owner in named:
        if name in owners:
            raise DuplicateFeature(name=name, first=owners[name], second=owner, where=training_set.where)
        owners[name] = owner


def _serialised(expression: "pl.Expr") -> bytes:
    """The expression's own form; one that carries a Python function, which has none that lasts, counts by its text."""
    try:
        return bytes(expression.meta.serialize())
    except Exception:
        return str(expression).encode()


def _text(duration: str | timedelta) -> str:
    """Return the duration as a text, so that "14d" and "336h" name the same split."""
    return f"{parse_duration(duration) // timedelta(microseconds=1)}us"
