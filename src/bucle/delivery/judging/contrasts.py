"""Two streams of yes and no, compared while they grow, at any number of looks.

The bet is the one of Turner, Ly and Grünwald ("Generic e-variables for exact sequential k-sample tests", 2024): a block of
`a` champion and `b` challenger requests multiplies the wealth by the likelihood of two alternative rates over that of the
nearest pair of rates that the null hypothesis allows. Nearest in relative entropy, weighted by the block's sizes; then the
expectation of the factor is at most 1 under every pair of the null, which may differ from block to block: an hour that is bad
for both arms is no evidence. Several alternatives are bet on at once, with equal stakes.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import msgspec

Rates = tuple[float, float]
"""A rate of the champion and a rate of the challenger."""

_HALVINGS = 50


class Counts(msgspec.Struct, frozen=True):
    """Requests and how many of them failed (or were slow, or whatever is counted)."""

    requests: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Return the counts of both together."""
        return Counts(self.requests + other.requests, self.failed + other.failed)

    @property
    def rate(self) -> float:
        """The share that failed, 0 of none."""
        return self.failed / self.requests if self.requests else 0.0


def log_factor(rates: Rates, null: Rates, champion: Counts, challenger: Counts) -> float:
    """Return the logarithm of the likelihood of a block under `rates` over that under `null`."""
    return sum(
        counts.failed * math.log(rate / least) + (counts.requests - counts.failed) * math.log((1 - rate) / (1 - least))
        for rate, least, counts in zip(rates, null, (champion, challenger), strict=True)
    )


def wager(
    wealth: Sequence[float], alternatives: Sequence[Rates], champion: Counts, challenger: Counts, margin: float = 0.0
) -> tuple[float, ...]:
    """Return the logarithms of the wealth of each alternative after a block.

    The null hypothesis is the side of `challenger's rate = champion's rate + margin` on which an alternative does not lie.
    """
    sizes = (champion.requests, challenger.requests)
    return tuple(
        before + log_factor(rates, nearest(rates, *sizes, margin), champion, challenger)
        for before, rates in zip(wealth, alternatives, strict=True)
    )


@lru_cache(maxsize=8192)
def nearest(rates: Rates, champion: int, challenger: int, margin: float) -> Rates:
    """Return the pair of rates with the challenger's `margin` above the champion's that is nearest to `rates`."""
    if margin == 0.0:
        pooled = (champion * rates[0] + challenger * rates[1]) / (champion + challenger)
        return pooled, pooled
    low, high = max(0.0, -margin), min(1.0, 1.0 - margin)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        slope = champion * _slope(rates[0], middle) + challenger * _slope(rates[1], middle + margin)
        low, high = (low, middle) if slope > 0 else (middle, high)
    return low + (high - low) / 2, low + (high - low) / 2 + margin


def log_mean(wealth: Sequence[float]) -> float:
    """Return the logarithm of the mean of what is given by its logarithms."""
    most = max(wealth)
    return most + math.log(sum(math.exp(each - most) for each in wealth) / len(wealth))


def raised(rate: float, odds: float) -> float:
    """Return the rate whose odds are `odds` times those of `rate`."""
    return rate * odds / (1 - rate + rate * odds)


def upper_bound(counts: Counts, risk: float) -> float:
    """Return a rate that the true one exceeds with a probability of at most `risk` (Chernoff)."""
    if not counts.requests:
        return 1.0
    low, high, limit = counts.rate, 1.0, math.log(1 / risk) / counts.requests
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _entropy(counts.rate, middle) < limit else (low, middle)
    return high


def _slope(rate: float, null: float) -> float:
    return (null - rate) / (null * (1 - null))


def _entropy(rate: float, null: float) -> float:
    yes = rate * math.log(rate / null) if rate else 0.0
    no = (1 - rate) * math.log((1 - rate) / (1 - null)) if rate < 1 and null < 1 else (0.0 if rate == 1 else math.inf)
    return yes + no
