"""Data quality of a window: nulls, unseen categories, values out of range, more than training ever had. Fires at once."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from bucle.data import CHANGED, Writing, unit_of
from bucle.messages import Phrase
from bucle.monitoring.reference import ColumnReference
from bucle.serving import Value

QualityCheck = Literal["null_share", "unseen_share", "out_of_range_share", "rewritten_share"]


@dataclass(frozen=True, slots=True)
class QualityFinding:
    """A share of a column's values that cannot be chance: `count` of `rows`, where training had at most `expected`.

    `unit` is the change of unit that explains values which were never written before.
    """

    column: str
    check: QualityCheck
    count: int
    rows: int
    expected: float
    chance: float
    unit: str | None = None

    def said(self) -> Phrase:
        """Say it in words."""
        counted: dict[str, str | int | float] = {"count": self.count, "rows": self.rows, "share": self.count / self.rows}
        if self.unit is not None:
            return Phrase("alert.rewritten_unit", {**counted, "column": self.column, "unit": self.unit})
        return Phrase(f"alert.{self.check}", {**counted, "column": self.column, "expected": self.expected})


def chance_of_at_least(count: int, rows: int, share: float) -> float:
    """Return P(X >= count) of a binomial of `rows` draws with probability `share`.

    Exact sum of the tail's terms, in logarithms; it ends when terms no longer matter.
    """
    if count <= 0:
        return 1.0
    if share >= 1.0:
        return 1.0
    if share <= 0.0 or count > rows:
        return 0.0
    if count <= rows * share:
        return 1.0  # at or below what is expected: the exact value does not matter to anybody
    term = math.exp(
        math.lgamma(rows + 1)
        - math.lgamma(count + 1)
        - math.lgamma(rows - count + 1)
        + count * math.log(share)
        + (rows - count) * math.log1p(-share)
    )
    total, odds = term, share / (1 - share)
    for successes in range(count, rows):
        term *= (rows - successes) / (successes + 1) * odds
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, total)


def judge(column: str, check: QualityCheck, count: int, rows: int, expected: float, level: float) -> QualityFinding | None:
    """Return a finding when so many would come by chance with a probability below `level`, else None."""
    if rows == 0 or count == 0:
        return None
    chance = chance_of_at_least(count, rows, expected)
    return QualityFinding(column, check, count, rows, expected, chance) if chance < level else None


def never_written(values: Iterable[Value], writing: Writing) -> Counter[float]:
    """Count the numbers that lie among those of training but were never written there."""
    numbers = (float(value) for value in values if isinstance(value, int | float) and math.isfinite(value))
    return Counter(number for number in numbers if not writing.knows(number))


def judge_writing(
    column: ColumnReference, unwritten: Counter[float], rows: int, seldom: float, level: float
) -> QualityFinding | None:
    """Return a finding when so many values were never written in training that the feed must write otherwise, else None."""
    count = unwritten.total()
    if column.writing is None or count <= CHANGED * rows:
        return None
    finding = judge(column.name, "rewritten_share", count, rows, max(column.writing.rarely, seldom), level)
    return replace(finding, unit=unit_of(unwritten, column.writing)) if finding is not None else None
