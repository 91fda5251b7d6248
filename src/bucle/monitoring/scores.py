"""Scores: what of an input's distribution is followed from window to window, as the mean of a weight over the window's values.

Of a number: its location (normal scores of training's ranks, as powerful as a test of means and indifferent to outliers), its
spread and its skew (Legendre polynomials of the ranks, as in Neyman's smooth test). Of a category: the shares of the most
frequent ones. Each weight has mean 0 and variance 1 over training as a whole.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from bucle.data import ColumnProfile

LEAST_ROWS = 32
"""Values without which a window says nothing about an input."""

_CATEGORIES = 6
_LEAST_SHARE = 0.02
_LEAST_EXPECTED = 8.0
"""Values of a category (and of the others) that a window must be expected to hold, so that its share is roughly normal."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Score:
    """One thing that is followed: a weight for each bin, and for values below and above all that training had.

    `stake` is its part of the bets on the input. `share` is that of the category that it counts, None of a number.
    """

    name: str
    stake: float
    weights: tuple[float, ...]
    below: float
    above: float
    share: float | None = None


def scores_of(training: ColumnProfile) -> list[Score]:
    """Return what is followed of an input with this profile; nothing of a constant one."""
    total = sum(training.counts)
    if total < 2 or max(training.counts) == total:
        return []
    shares = [count / total for count in training.counts]
    return _of_number(shares) if training.kind == "number" else _of_categories(shares, training.categories)


def value_of(score: Score, window: ColumnProfile) -> tuple[float, int] | None:
    """Return the mean weight of a window's values and their number; None when they are too few to say anything."""
    known = window.known
    if known < LEAST_ROWS or (score.share is not None and known * min(score.share, 1 - score.share) < _LEAST_EXPECTED):
        return None
    total = math.fsum(count * weight for count, weight in zip(window.counts, score.weights, strict=True) if count)
    return (total + window.unseen * _outside(score, window)) / known, known


def _outside(score: Score, window: ColumnProfile) -> float:
    """The weight of values outside of training's range: that of the side on which they lie, between the two if on both."""
    if window.least is None or window.most is None:
        return score.above
    low, high = window.least < window.lowest, window.most > window.highest
    return score.above if high and not low else score.below if low and not high else (score.above + score.below) / 2


def _of_number(shares: Sequence[float]) -> list[Score]:
    middles, reached = [], 0.0
    for share in shares:
        middles.append(min(1 - 1e-4, max(1e-4, reached + share / 2)))
        reached += share
    edge = min(0.002, min(share for share in shares if share) / 2)
    ranks = [edge, *middles, 1 - edge]
    forms = (
        ("location", 0.8, [_NORMAL.inv_cdf(rank) for rank in ranks]),
        ("spread", 0.1, [6 * rank * rank - 6 * rank + 1 for rank in ranks]),
        ("skew", 0.1, [20 * rank**3 - 30 * rank * rank + 12 * rank - 1 for rank in ranks]),
    )
    made = [_standard(name, stake, values, shares) for name, stake, values in forms]
    return [score for score in made if score is not None]


def _standard(name: str, stake: float, values: Sequence[float], shares: Sequence[float]) -> Score | None:
    below, *inner, above = values
    mean = math.fsum(share * value for share, value in zip(shares, inner, strict=True))
    variance = math.fsum(share * (value - mean) ** 2 for share, value in zip(shares, inner, strict=True))
    if variance < 1e-6:
        return None
    deviation = math.sqrt(variance)
    weights = tuple((value - mean) / deviation for value in inner)
    return Score(name, stake, weights, (below - mean) / deviation, (above - mean) / deviation)


def _of_categories(shares: Sequence[float], categories: Sequence[str]) -> list[Score]:
    order = sorted(range(len(shares)), key=lambda position: (-shares[position], categories[position]))
    followed = [position for position in order[:_CATEGORIES] if shares[position] >= _LEAST_SHARE]
    if len(shares) == 2:
        followed = followed[:1]
    scores = []
    for position in followed:
        share = shares[position]
        deviation = math.sqrt(share * (1 - share))
        other = -share / deviation
        weights = tuple((1 - share) / deviation if place == position else other for place in range(len(shares)))
        scores.append(Score(f"share of {categories[position]}", 1 / len(followed), weights, other, other, share))
    return scores
