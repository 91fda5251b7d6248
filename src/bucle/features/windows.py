"""Windowed aggregates offline: what was in the window (t - w, t] of an entity, as far as it was known at t.

Each value of a source is there for an interval of time: from when it was known (`enter`) until the window has passed it
(`leave`). With the moments that are asked for in order of entity and time, such an interval is a range of them; counts and sums
are differences of prefix sums, minima and maxima are painted over the ranges by powers of two. No step loops over rows.

Sums are correctly rounded, as `math.fsum` would be: the prefix sums are kept in as many floats as it takes to be exact. So a
sum depends on what is in the window alone, and the online store, which adds up the window itself, gives the same bits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from bucle.features.keys import comparable
from bucle.features.views import AggregateSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

LARGEST = 1e290
"""Values beyond do not count, like NaN and infinities: their sums could overflow."""


@dataclass(frozen=True, slots=True)
class Contributions:
    """The values of one column: each belongs to an entity and counts at t when enter <= t < leave (integers of one unit)."""

    keys: tuple[pl.Series, ...]
    enter: pl.Series
    leave: pl.Series
    value: pl.Series


@dataclass(frozen=True, slots=True)
class Questions:
    """For which entities and moments a window is asked; a null key or moment is answered with null."""

    keys: tuple[pl.Series, ...]
    at: pl.Series


def window_column(asked: Questions, values: Contributions, feature: AggregateSpec) -> pl.Series:
    """Return the aggregate for each question, in their order: Int64 for "count", else Float64 with null for an empty window."""
    known = pl.select(pl.all_horizontal(asked.at.is_not_null(), *(key.is_not_null() for key in asked.keys))).to_series()
    covered = _cover(asked, values)
    counts = np.zeros(len(asked.at), np.int64)
    answer = np.full(len(asked.at), np.nan)
    if covered is not None:
        counts[covered.order] = covered.counts()
        if feature.how != "count":
            answer[covered.order] = covered.reduce(feature.how)
    if feature.how == "count":
        return pl.select(pl.when(known).then(pl.Series(counts))).to_series().alias(feature.name)
    there = known & pl.Series(counts > 0)
    return pl.select(pl.when(there).then(pl.Series(answer))).to_series().alias(feature.name)


@dataclass(frozen=True, slots=True)
class _Cover:
    """Questions in the order of entity and time, and the range [start, stop) of them that each value counts for."""

    order: "Ints"
    start: "Ints"
    stop: "Ints"
    value: "Floats"

    def counts(self) -> "Ints":
        """Return how many values each question sees."""
        return np.asarray(self._entered() - self._left(), np.int64)

    def reduce(self, how: str) -> "Floats":
        """Return mean, sum, min or max of what each question sees; anything where it sees nothing."""
        if how in ("min", "max"):
            return self._extreme(how == "max")
        total = self._sum()
        return total / np.maximum(self.counts(), 1) if how == "mean" else total

    def _entered(self) -> "Ints":
        return np.cumsum(np.bincount(self.start, minlength=len(self.order) + 1))[:-1]

    def _left(self) -> "Ints":
        return np.cumsum(np.bincount(self.stop, minlength=len(self.order) + 1))[:-1]

    def _sum(self) -> "Floats":
        entered = _prefix_sums(self.value[np.argsort(self.start, kind="stable")])
        left = _prefix_sums(self.value[np.argsort(self.stop, kind="stable")])
        parts = [level[self._entered()] for level in entered] + [-level[self._left()] for level in left]
        if len(parts) == 2:
            total, error = _two_sum(parts[0], parts[1])
            if not error.any():
                return total
        return np.fromiter(map(math.fsum, zip(*(part.tolist() for part in parts), strict=True)), np.float64, len(self.order))

    def _extreme(self, largest: bool) -> "Floats":
        """Paint each range as two overlapping blocks of a power of two, then hand the blocks down to their halves."""
        values = self.value if largest else -self.value
        lengths = self.stop - self.start
        levels = np.frexp(lengths.astype(np.float64))[1] - 1
        painted = np.full(len(self.order), -np.inf)
        for level in range(int(levels.max(initial=0)), -1, -1):
            here, size = levels == level, 1 << level
            for begin in (self.start[here], self.stop[here] - size):
                np.maximum.at(painted, begin, values[here])
            if level:
                handed = painted.copy()
                handed[size >> 1 :] = np.maximum(painted[size >> 1 :], painted[: len(painted) - (size >> 1)])
                painted = handed
        return painted if largest else -painted


def _cover(asked: Questions, values: Contributions) -> _Cover | None:
    """Return which questions each value counts for, None when there is nothing to count."""
    codes = _codes(asked.keys, values.keys, len(asked.at), len(values.value))
    if codes is None or len(asked.at) == 0:
        return None
    moments, ranks = np.unique(asked.at.fill_null(0).to_numpy(), return_inverse=True)
    width = len(moments) + 1
    place = codes[0] * width + ranks.reshape(-1)
    order = np.argsort(place, kind="stable")
    ranked = place[order]
    counts = (values.value.is_not_null() & values.enter.is_not_null() & values.leave.is_not_null()).to_numpy() & (codes[1] >= 0)
    code = codes[1][counts] * width
    enter, leave = (each.fill_null(0).to_numpy()[counts] for each in (values.enter, values.leave))  # nulls would make floats
    start = np.searchsorted(ranked, code + np.searchsorted(moments, enter))
    stop = np.searchsorted(ranked, code + np.searchsorted(moments, leave))
    seen = start < stop
    value = values.value.cast(pl.Float64).to_numpy()[counts]
    return _Cover(order, start[seen], stop[seen], value[seen]) if seen.any() else None


def _codes(asked: Sequence[pl.Series], held: Sequence[pl.Series], questions: int, rows: int) -> "tuple[Ints, Ints] | None":
    """Return numbers for the entities of both sides, equal where the keys are; -1 for none."""
    if not asked:
        return np.zeros(questions, np.int64), np.zeros(rows, np.int64)
    pairs = [comparable(left, right) for left, right in zip(asked, held, strict=True)]
    same = [pair for pair in pairs if pair is not None]
    if len(same) < len(pairs) or rows == 0:
        return None
    names = [f"key{number}" for number in range(len(same))]
    left = pl.DataFrame({name: pair[0] for name, pair in zip(names, same, strict=True)})
    right = pl.DataFrame({name: pair[1] for name, pair in zip(names, same, strict=True)})
    entities = right.unique().drop_nulls().with_columns(code=pl.int_range(pl.len(), dtype=pl.Int64))
    found = [side.join(entities, on=names, how="left", maintain_order="left")["code"].fill_null(-1) for side in (left, right)]
    return found[0].to_numpy(), found[1].to_numpy()


def _prefix_sums(values: "Floats") -> "list[Floats]":
    """Return floats whose sum at n is exactly the sum of the first n values: rounding errors have prefix sums of their own."""
    levels: list[Floats] = []
    remaining = values
    while not levels or remaining.any():
        sums = np.concatenate(([0.0], np.cumsum(remaining)))
        _, remaining = _two_sum(sums[:-1], remaining)
        levels.append(sums)
    return levels


def _two_sum(left: "Floats", right: "Floats") -> "tuple[Floats, Floats]":
    """Return the rounded sum and its rounding error, exactly. Source: Knuth, TAOCP vol. 2, 4.2.2, theorem B."""
    total = left + right
    virtual = total - left
    return total, (left - (total - virtual)) + (right - virtual)
