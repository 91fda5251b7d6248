"""The paired bootstrap: is one model's loss on the same rows smaller than another's by more than chance?

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13. The bounds are percentiles of the
resampled mean, but never closer than those of the normal approximation: with few rows percentiles alone promote equal
models in 6 to 7 % of cases instead of 5 (the studentized bootstrap in up to 11 %: paired losses have heavy, symmetric
tails). Rows count as independent; where they are not (many rows of one stormy day), the bounds are too narrow.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95
NORMAL = 1.6448536269514722
"""The 95 % quantile of the normal distribution."""

_CELLS = 2_000_000
"""Draws held in memory at a time."""


class Difference(msgspec.Struct, frozen=True):
    """The mean of row-wise differences with one-sided bounds at 95 % each: `low` from below, `high` from above."""

    mean: float
    low: float
    high: float
    rows: int

    @property
    def positive(self) -> bool:
        """Whether the mean is greater than zero by more than chance."""
        return self.low > 0

    @property
    def negative(self) -> bool:
        """Whether the mean is less than zero by more than chance."""
        return self.high < 0


def paired_difference(worse: Floats, better: Floats, seed: int, resamples: int = RESAMPLES) -> Difference:
    """Return the mean of `worse - better` (losses of two models on the same rows) with its bounds.

    Seeded, so that the same losses give the same verdict.
    """
    difference = worse - better
    rows, mean = len(difference), float(difference.mean())
    if rows < 2 or float(np.ptp(difference)) == 0:
        return Difference(mean, mean, mean, rows)
    reach = NORMAL * float(difference.std(ddof=1)) / math.sqrt(rows)
    low, high = np.quantile(_resampled_means(difference, seed, resamples), (1 - LEVEL, LEVEL))
    return Difference(mean, min(float(low), mean - reach), max(float(high), mean + reach), rows)


def _resampled_means(difference: Floats, seed: int, resamples: int) -> Floats:
    random, rows = np.random.default_rng(seed), len(difference)
    each = max(1, _CELLS // rows)
    counts = [min(each, resamples - done) for done in range(0, resamples, each)]
    return np.concatenate(
        [difference[random.integers(0, rows, size=(count, rows), dtype=np.int32)].mean(axis=1) for count in counts]
    )
