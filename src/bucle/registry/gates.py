"""Gates: what a model version must show before it may be promoted (K-21, G1-mv, BR-I4). Plain structs; nothing heavy."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from bucle.messages import Phrase
from bucle.project import Criterion, Definition, parse_criterion
from bucle.registry.errors import BadGate
from bucle.registry.evaluations import Evaluation
from bucle.registry.packages import LoadReport

GateKind = Literal["criterion", "production", "baseline", "slices", "loadable", "evaluated", "custom"]

BUILT_IN = ("better_than_production", "better_than_baseline", "slices", "loadable", "evaluated")
"""The names of the gates that every version has."""


class GateResult(msgspec.Struct, frozen=True):
    """What a gate found: the numbers in `evidence` and a sentence in `reason`, in English; `said` in any language.

    A project's own function gives its reason in its own words: `said` is None.
    """

    name: str
    kind: GateKind
    passed: bool
    evidence: dict[str, Any]
    reason: str
    said: Phrase | None = None


class GateSpec(msgspec.Struct, frozen=True):
    """A project's own gate as data. `criterion` is empty for a function."""

    name: str
    model: str
    criterion: str
    doc: str
    file: str
    line: int


class Gate(Definition):
    """A condition of the project's own that a model version must meet, beside the charter's and the built-in ones.

        calibrated = bucle.Gate("brier <= 0.15")
        few_misses = bucle.Gate(lambda evaluation: evaluation.metrics["recall"] > 0.3, model="delay")

    `check` is a criterion as in the charter, or a function that takes an `Evaluation` and returns whether it passes, or a
    pair of that and a sentence that says why. `model` narrows it to one model. Raises `project/bad-criterion`.
    """

    kind: ClassVar[str] = "gate"

    def __init__(
        self, check: str | Callable[[Evaluation], bool | tuple[bool, str]], *, model: str | None = None, name: str = ""
    ) -> None:
        self.criterion = parse_criterion(check, where=self.where) if isinstance(check, str) else None
        self.check = None if isinstance(check, str) else check
        self.model = model
        self.name = name
        if self.criterion is None and not callable(check):
            raise BadGate(name=name or "Gate", reason=f"it was given a {type(check).__name__}", where=self.where)

    def spec(self) -> GateSpec:
        """Return the gate as data. Raises `registry/bad-gate` for the name of a built-in gate."""
        if self.name in BUILT_IN:
            raise BadGate(name=self.name, reason="its name is that of a built-in gate", where=self.where)
        doc = (self.check.__doc__ or "").strip() if self.check is not None else ""
        criterion = str(self.criterion) if self.criterion is not None else ""
        return GateSpec(self.required_name(), self.model or "", criterion, doc, self.file, self.line)


class Champion(msgspec.Struct, frozen=True):
    """The version in production and how it did on the same rows; `problem` says why it could not be evaluated on them."""

    version: str
    evaluation: Evaluation | None = None
    problem: str = ""


class JudgeOrder(msgspec.Struct, frozen=True):
    """What `judge_in_child` judges by. `champion` is None when nothing is in production yet."""

    model: str
    evaluation: Evaluation
    load: LoadReport
    criteria: tuple[Criterion, ...] = ()
    champion: Champion | None = None
    slices: tuple[str, ...] = ()
    seed: int = 0


class Judgement(msgspec.Struct, frozen=True):
    """What the gates found, in the order in which they were asked."""

    gates: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return bool(self.gates) and all(gate.passed for gate in self.gates)


def slices_needed(criteria: Sequence[Criterion], declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the columns that an evaluation must be sliced by: those declared and those that criteria name with `by`."""
    return tuple(dict.fromkeys([*declared, *(each.by for each in criteria if each.by)]))
