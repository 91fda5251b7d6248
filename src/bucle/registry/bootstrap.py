"""The paired bootstrap: is one model's loss on the same rows smaller than another's by more than chance?

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 12 and 16 (bootstrap-t). The interval of the
mean difference is studentized: for skewed losses the percentile interval promotes equal models too often. Rows count as
independent; where they are not (many rows of one stormy day), the interval is too narrow.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 2000
LEVEL = 0.95
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
    error = float(difference.std()) / np.sqrt(rows)
    if rows < 2 or error <= abs(mean) * 1e-12:
        return Difference(mean, mean, mean, rows)
    pivots = _pivots(difference, mean, seed, resamples)
    low, high = (mean - error * float(quantile) for quantile in np.quantile(pivots, (LEVEL, 1 - LEVEL)))
    return Difference(mean, low, high, rows)


def _pivots(difference: Floats, mean: float, seed: int, resamples: int) -> Floats:
    """Return (resampled mean - mean) / resampled standard error, for each resample."""
    random, rows = np.random.default_rng(seed), len(difference)
    centred = difference - mean
    each = max(1, _CELLS // rows)
    pivots = []
    for done in range(0, resamples, each):
        drawn = centred[random.integers(0, rows, size=(min(each, resamples - done), rows), dtype=np.int32)]
        shift = drawn.mean(axis=1)
        spread = np.sqrt(np.maximum((drawn * drawn).mean(axis=1) - shift * shift, 0) / rows)
        pivots.append(np.divide(shift, spread, out=np.copysign(np.full_like(shift, np.inf), shift), where=spread > 0))
    return np.nan_to_num(np.concatenate(pivots), nan=0.0)
