"""The paired bootstrap: is one model's loss on the same rows smaller than another's by more than chance?

Rows of one day share their weather and their strikes, so they are no independent witnesses: whole days are drawn, each with
all of its rows (the cluster bootstrap; Field and Welsh, Bootstrapping clustered data, JRSS B 69, 2007). With fewer than
`FEWEST` days whole hours are drawn, with fewer hours than that single rows (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 13). The bounds are percentiles of the resampled mean, but never closer than those of Student's t
with the cluster-robust standard error and as many degrees of freedom as groups less one (Cameron and Miller, A Practitioner's
Guide to Cluster-Robust Inference, 2015): with few groups percentiles alone promote equal models in more than 5 % of cases.
"""

import math
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Ints = NDArray[np.int64]
Unit = Literal["day", "hour", "row"]

RESAMPLES = 2000
LEVEL = 0.95
BEYOND = 20
"""Resamples that must lie beyond a bound of a higher level: fewer do not tell where it is."""
FEWEST = 10
"""Days or hours without which they say too little of how much days or hours differ."""

_HOUR_US = 3_600_000_000
_CELLS = 2_000_000
"""Draws held in memory at a time."""


class Difference(msgspec.Struct, frozen=True):
    """The mean of row-wise differences with one-sided bounds at 95 % each: `low` from below, `high` from above.

    `groups` is how many days, hours or rows (`unit`) were drawn from: what counts as independent.
    """

    mean: float
    low: float
    high: float
    rows: int
    groups: int = 0
    unit: Unit = "row"

    @property
    def positive(self) -> bool:
        """Whether the mean is greater than zero by more than chance."""
        return self.low > 0

    @property
    def negative(self) -> bool:
        """Whether the mean is less than zero by more than chance."""
        return self.high < 0


def hours_of(moments_us: Ints) -> Ints:
    """Return the hour of each moment, counted since 1970 UTC."""
    return moments_us // _HOUR_US


def paired_difference(
    worse: Floats, better: Floats, seed: int, resamples: int = RESAMPLES, hours: Ints | None = None, level: float = LEVEL
) -> Difference:
    """Return the mean of `worse - better` (losses of two models on the same rows) with its bounds.

    `hours` are those of the rows, see `hours_of`; without them rows count as independent. Seeded, so that the same losses
    give the same verdict. The bounds hold at `level` each; a higher one than 95 % takes more resamples.
    """
    difference = worse - better
    rows, mean = len(difference), float(difference.mean())
    groups, unit = _groups(rows, hours)
    sums, sizes = np.asarray(np.bincount(groups, difference), dtype=np.float64), np.bincount(groups)
    if len(sums) < 2 or float(np.ptp(difference)) == 0:
        return Difference(mean, mean, mean, rows, len(sums), unit)
    reach = _student(len(sums) - 1, level) * _robust_error(sums, sizes)
    resamples = max(resamples, math.ceil(BEYOND / (1 - level) - 1e-6))
    low, high = np.quantile(_resampled_means(sums, sizes, seed, resamples), (1 - level, level))
    return Difference(mean, min(float(low), mean - reach), max(float(high), mean + reach), rows, len(sums), unit)


def _groups(rows: int, hours: Ints | None) -> tuple[Ints, Unit]:
    """Return the number of each row's group: its day, else its hour, else its own."""
    units: tuple[tuple[Unit, int], ...] = (("day", 24), ("hour", 1))
    if hours is not None:
        for unit, length in units:
            found, group = np.unique(hours // length, return_inverse=True)
            if len(found) >= FEWEST:
                return group.astype(np.int64), unit
    return np.arange(rows, dtype=np.int64), "row"


def _robust_error(sums: Floats, sizes: Ints) -> float:
    """Return the standard error of the mean over all rows when groups, not rows, are independent."""
    total, groups = int(sizes.sum()), len(sums)
    residuals = sums - sizes * (sums.sum() / total)
    return math.sqrt(groups / (groups - 1) * float((residuals**2).sum())) / total


def joint_level(tests: int) -> float:
    """Return the level of each of several bounds such that all hold at once with 95 %, however they depend on each other.

    Bonferroni's correction (Dunn, Multiple Comparisons among Means, JASA 56, 1961).
    """
    return 1 - (1 - LEVEL) / max(1, tests)


def _student(freedom: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))


def _resampled_means(sums: Floats, sizes: Ints, seed: int, resamples: int) -> Floats:
    random, groups = np.random.default_rng(seed), len(sums)
    each = max(1, _CELLS // groups)
    means = []
    for done in range(0, resamples, each):
        drawn = random.integers(0, groups, size=(min(each, resamples - done), groups), dtype=np.int32)
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    return np.concatenate(means)
