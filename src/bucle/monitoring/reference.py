"""What training looked like: the profile of each input, and how its own days differed from each other."""

import math
from collections.abc import Sequence

import msgspec

from bucle.data import ColumnProfile, Writing

_Z95 = 1.644854
_LONGEST_MEMORY = 0.95
"""Of a day for the day before; beyond it 90 days could not tell a mood from a trend."""

LEAST_DAYS = 20
"""Training days without which nobody knows how much days differ."""


class ScoreReference(msgspec.Struct, frozen=True):
    """How a score (see `scores`) moved over training's `days`.

    A day of n values has its mean of the score around `mean` with the variance `between + within / n`. `lasting` is the
    variance between days as a long stretch of them shows it, greater where days resemble those before; both are 0 where days
    differ by no more than samples do. `uncertain` is the variance of `mean` itself. `highest` is the highest evidence of a
    drift that the detector found in training itself, which by definition had none.
    """

    name: str
    days: int
    mean: float
    within: float
    between: float
    lasting: float
    uncertain: float
    highest: float = 0.0

    @property
    def steady(self) -> bool:
        """Whether training's days were samples of one distribution."""
        return self.lasting == 0.0


class ColumnReference(msgspec.Struct, frozen=True):
    """An input in training. `null_share` is the highest of any day. `scores` is empty when it had too few days,
    and without spread and skew where the location moves from day to day: they move with it, and not as days of chance do.

    `writing` holds the values that a number takes, None for one that takes many.
    """

    name: str
    profile: ColumnProfile
    null_share: float
    scores: tuple[ScoreReference, ...]
    writing: Writing | None = None


class Reference(msgspec.Struct, frozen=True):
    """The profile of a model version's training data, which spans `days` windows."""

    rows: int
    days: int
    window_us: int
    columns: tuple[ColumnReference, ...]


def measure_days(name: str, days: Sequence[tuple[float, int]]) -> ScoreReference | None:
    """Return how a score moved over days, given each one's mean and number of values; None with too few days."""
    count = len(days)
    if count < LEAST_DAYS:
        return None
    values = [value for value, _ in days]
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    noise = math.fsum(1 / rows for _, rows in days) / count
    persistence, chance = _persistence(values, mean, variance)
    if chance and variance < noise * (1 + _Z95 * math.sqrt(2 / count)):
        return ScoreReference(name, count, mean, 1.0, 0.0, 0.0, max(noise, variance) / count)
    within = max(0.05, 1.0 - max(0.0, variance - noise))
    variance /= 1 - min(0.5, persistence / count)  # days that move together differ less from their own mean
    generous = variance * (1 + math.sqrt(2 / count))  # so much of it may be missed in so many days
    between = max(0.0, generous - within * noise)
    lasting = max(between, generous * persistence - within * noise, 1e-9)
    return ScoreReference(name, count, mean, within, between, lasting, max(lasting + within * noise, variance) / count)


def _persistence(values: Sequence[float], mean: float, variance: float) -> tuple[float, bool]:
    """Return by how much the variance of a long stretch's mean exceeds that of as many independent days, and if that may be 1.

    The sum of the autocorrelations up to the first that could be chance, or what the first one alone implies if days forget
    at a constant rate, whichever is more; generous, as few days teach little about long stretches.
    """
    total, count, least = 1.0, len(values), _Z95 / math.sqrt(len(values))
    implied = 1.0
    for lag in range(1, count // 4 + 1):
        products = [(values[place] - mean) * (values[place - lag] - mean) for place in range(lag, count)]
        correlation = math.fsum(products) / count / variance if variance else 0.0
        if lag == 1 and correlation < least:
            return 1.0 + 2 * max(0.0, correlation), True
        if lag == 1:
            memory = min(_LONGEST_MEMORY, correlation + (1 + 3 * correlation) / count)  # Kendall's correction
            implied = (1 + memory) / (1 - memory)
        total += 2 * max(0.0, correlation)
        if correlation < least:
            break
    total = max(total, implied)
    return total * (1 + math.sqrt(2 * total / count)), False
