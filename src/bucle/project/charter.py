"""The charter: why the project exists, for whom, and what counts as success (K-1 to K-4)."""

import re
from dataclasses import dataclass
from typing import Literal

from bucle.project.errors import BadCriterion

Task = Literal["classification", "regression"]
TASKS: tuple[Task, ...] = ("classification", "regression")
Operator = Literal[">=", "<=", ">", "<"]

_CRITERION = re.compile(
    r"\s*(?P<metric>[A-Za-z]\w*)\s*(?P<operator>>=|<=|>|<)\s*(?P<threshold>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)"
    r"(\s+by\s+(?P<by>[A-Za-z_]\w*))?\s*"
)


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition that a model must meet: over all rows, or in each slice of the column `by`."""

    metric: str
    operator: Operator
    threshold: float
    by: str | None = None

    def holds(self, value: float) -> bool:
        """Whether a measured value meets the criterion; NaN never does."""
        match self.operator:
            case ">=":
                return value >= self.threshold
            case "<=":
                return value <= self.threshold
            case ">":
                return value > self.threshold
            case "<":
                return value < self.threshold

    def __str__(self) -> str:
        return f"{self.metric} {self.operator} {self.threshold:g}" + (f" by {self.by}" if self.by else "")


@dataclass(frozen=True, slots=True)
class Charter:
    """Problem, task, criteria of success, owner, data needed; `architecture` is the path of the decision record (K-2)."""

    problem: str = ""
    task: Task | None = None
    success: tuple[Criterion, ...] = ()
    owner: str = ""
    data: tuple[str, ...] = ()
    architecture: str | None = None


def parse_criterion(text: str, where: str | None = None) -> Criterion:
    """Read a criterion such as "roc_auc >= 0.55 by origin". Raises `project/bad-criterion`."""
    match = _CRITERION.fullmatch(text)
    if match is None:
        raise BadCriterion(text=text, where=where)
    operator: Operator = match["operator"]  # type: ignore[assignment]
    return Criterion(match["metric"], operator, float(match["threshold"]), match["by"])
