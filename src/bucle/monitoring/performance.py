"""Realised performance: what labels say of predictions, with an interval, by slice, and how many have a label at all."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from bucle.monitoring.loss import row_loss

LEAST_LABELS = 30
"""Labelled predictions without which a number would say nothing."""

MOST_SLICES = 50
"""Values of a column whose performance is shown each on its own: a number may have thousands."""

OTHERS = "(others)"

_Z95 = 1.959964


class Measure(msgspec.Struct, frozen=True):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


class Performance(msgspec.Struct, frozen=True):
    """Of mature predictions: how many, how many with a label, and what these say. None means insufficient data.

    `loss` is the mean squared distance of output and label; of classes, the share of wrong ones. `auc` is the area under the
    ROC curve (classification); `mean_output` against `mean_label` shows a bias (S-16). Intervals: normal for means, Hanley
    and McNeil for the area.
    """

    slice: str
    mature: int
    labelled: int
    loss: Measure | None
    auc: Measure | None
    mean_output: float | None
    mean_label: Measure | None

    @property
    def coverage(self) -> float | None:
        """Share of mature predictions that have a label; None without any."""
        return self.labelled / self.mature if self.mature else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A mature prediction: its output, its label if one came, the values of the sliced columns."""

    output: float
    label: float | None
    slices: tuple[str, ...] = ()


def measure(outcomes: Sequence[Outcome], kind: str, slice: str = "") -> Performance:
    """Return the performance over outcomes."""
    pairs = [(outcome.output, outcome.label) for outcome in outcomes if outcome.label is not None]
    if len(pairs) < LEAST_LABELS:
        return Performance(slice, len(outcomes), len(pairs), None, None, None, None)
    return Performance(
        slice=slice,
        mature=len(outcomes),
        labelled=len(pairs),
        loss=_mean([row_loss(output, label, kind) for output, label in pairs]),
        auc=area_under_curve(pairs) if kind == "probability" else None,
        mean_output=sum(output for output, _ in pairs) / len(pairs),
        mean_label=_mean([label for _, label in pairs]),
    )


def measure_slices(outcomes: Sequence[Outcome], columns: Sequence[str], kind: str) -> list[Performance]:
    """Return the performance of each value of each sliced column; of many values the rarer ones count as one."""
    found: list[Performance] = []
    for position, column in enumerate(columns):
        groups: dict[str, list[Outcome]] = {}
        for outcome in outcomes:
            groups.setdefault(outcome.slices[position], []).append(outcome)
        for value in sorted(groups, key=lambda each: -len(groups[each]))[MOST_SLICES:]:
            groups.setdefault(OTHERS, []).extend(groups.pop(value))
        found += [measure(groups[value], kind, f"{column}={value}") for value in sorted(groups)]
    return found


def area_under_curve(pairs: Iterable[tuple[float, float]]) -> Measure | None:
    """Return the area under the ROC curve, ties counting half; None when only one outcome occurs."""
    ordered = sorted(pairs)
    positives = sum(1 for _, label in ordered if label == 1.0)
    negatives = len(ordered) - positives
    if not positives or not negatives:
        return None
    wins, below, start = 0.0, 0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        yes = sum(1 for _, label in ordered[start:end] if label == 1.0)
        no = end - start - yes
        wins += yes * (below + no / 2)
        below += no
        start = end
    area = wins / (positives * negatives)
    return _interval(area, _area_error(area, positives, negatives), 0.0, 1.0)


def _area_error(area: float, positives: int, negatives: int) -> float:
    first, second = area / (2 - area), 2 * area * area / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (first - area * area) + (negatives - 1) * (second - area * area)
    return math.sqrt(max(0.0, spread) / (positives * negatives))


def _mean(values: Sequence[float]) -> Measure:
    mean = sum(values) / len(values)
    spread = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return _interval(mean, math.sqrt(spread / len(values)))


def _interval(value: float, error: float, low: float = -math.inf, high: float = math.inf) -> Measure:
    return Measure(value, max(low, value - _Z95 * error), min(high, value + _Z95 * error))
