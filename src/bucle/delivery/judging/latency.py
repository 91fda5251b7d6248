"""The judge of slowness: are more of the challenger's requests slow, at any of a ladder of thresholds?

Each threshold makes latencies a stream of yes and no, which the bet of `contrasts` compares; the mean of the thresholds' wealth
is the evidence that the challenger is slower, the least of them the evidence that it is not.
"""

from collections.abc import Sequence

import msgspec

from bucle.delivery.judging.contrasts import Counts, log_mean, raised, wager
from bucle.delivery.judging.judgements import Judgement, bounded, judgement_of, verdict_of
from bucle.messages import Phrase

LATENCY_EDGES_MS: tuple[float, ...] = tuple(round(0.1 * 2 ** (step / 4), 6) for step in range(73))
"""Upper bounds of the latency buckets in milliseconds, those of `bucle.serving.BOUNDS`; a last bucket has no bound."""

TOLERATED_BUCKETS = 2
TOLERATED_FACTOR = 2 ** (TOLERATED_BUCKETS / 4)
"""A challenger may be slower by this factor (1.41)."""

LEAST_MS = 10.0
"""Nobody is hurt by what is faster than this; nothing is compared below."""

LATENCY_MARGIN = 0.05
""" "No worse": at no threshold more than this share of the requests is slow that was not slow with the champion."""

THRESHOLDS = tuple(
    step
    for step in range(len(LATENCY_EDGES_MS) - TOLERATED_BUCKETS)
    if step % 4 == 2 and LATENCY_EDGES_MS[step + 2] >= LEAST_MS
)
"""Buckets beyond which a request of the champion is slow; one of the challenger is `TOLERATED_BUCKETS` later."""

WORSE = tuple((rate, raised(rate, odds)) for rate in (0.01, 0.1, 0.4) for odds in (2.5, 10.0))
NO_WORSE = tuple((rate, rate) for rate in (0.01, 0.1, 0.4, 0.9))


class LatencyEvidence(msgspec.Struct, frozen=True):
    """Latencies of both arms so far, by bucket; `worse` and `no_worse` hold for each threshold the logarithms of the wealth.

    `waiting` are buckets (champion, challenger) that make no block yet: a block needs both arms.
    """

    champion: tuple[int, ...] = (0,) * (len(LATENCY_EDGES_MS) + 1)
    challenger: tuple[int, ...] = (0,) * (len(LATENCY_EDGES_MS) + 1)
    waiting: tuple[tuple[int, ...], tuple[int, ...]] = ((0,) * (len(LATENCY_EDGES_MS) + 1), (0,) * (len(LATENCY_EDGES_MS) + 1))
    worse: tuple[tuple[float, ...], ...] = ((0.0,) * len(WORSE),) * len(THRESHOLDS)
    no_worse: tuple[tuple[float, ...], ...] = ((0.0,) * len(NO_WORSE),) * len(THRESHOLDS)
    highest: tuple[float, float] = (0.0, 0.0)

    def update(self, champion: Sequence[int], challenger: Sequence[int]) -> "LatencyEvidence":
        """Return the evidence after some more requests, counted in the buckets of `LATENCY_EDGES_MS` and one without bound."""
        ahead, behind = _sum(self.waiting[0], champion), _sum(self.waiting[1], challenger)
        after = msgspec.structs.replace(
            self, champion=_sum(self.champion, champion), challenger=_sum(self.challenger, challenger), waiting=(ahead, behind)
        )
        if not sum(ahead) or not sum(behind):
            return after
        blocks = [slow(ahead, behind, threshold) for threshold in THRESHOLDS]
        worse = tuple(wager(wealth, WORSE, *block) for wealth, block in zip(self.worse, blocks, strict=True))
        no_worse = tuple(
            wager(wealth, NO_WORSE, *block, LATENCY_MARGIN) for wealth, block in zip(self.no_worse, blocks, strict=True)
        )
        highest = (max(self.highest[0], log_worse(worse)), max(self.highest[1], min(map(log_mean, no_worse))))
        waiting = (_NONE, _NONE)
        return msgspec.structs.replace(after, waiting=waiting, worse=worse, no_worse=no_worse, highest=highest)

    def judgement(self, alpha: float) -> Judgement:
        """Return what the evidence amounts to."""
        verdict, evidence = verdict_of(*self.highest, alpha), (bounded(log_worse(self.worse)), bounded(self.highest[0]))
        arms = {"challenger": self.challenger, "champion": self.champion}
        silent = [name for name, histogram in arms.items() if not any(histogram)]
        text = f"untimed_{'_'.join(silent)}" if silent else "latency"
        times = {} if silent else {name: _quantile(histogram) for name, histogram in arms.items()}
        found = judgement_of(text, evidence, 1 / alpha, verdict, sum(self.challenger), **times)
        return msgspec.structs.replace(found, name="latency")


_NONE = (0,) * (len(LATENCY_EDGES_MS) + 1)


def slow(champion: Sequence[int], challenger: Sequence[int], threshold: int) -> tuple[Counts, Counts]:
    """Return how many requests of each arm were slow, the challenger's by the tolerated factor later."""
    return (
        Counts(sum(champion), sum(champion[threshold + 1 :])),
        Counts(sum(challenger), sum(challenger[threshold + TOLERATED_BUCKETS + 1 :])),
    )


def log_worse(wealth: Sequence[Sequence[float]]) -> float:
    """Return the logarithm of the evidence of all thresholds together."""
    return log_mean([log_mean(each) for each in wealth])


def _sum(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _quantile(histogram: Sequence[int]) -> Phrase:
    reached, total = 0, sum(histogram)
    for bound, count in zip(LATENCY_EDGES_MS, histogram, strict=False):
        reached += count
        if reached >= 0.95 * total:
            return Phrase("judge.milliseconds", {"bound": bound})
    return Phrase("judge.longer", {"seconds": LATENCY_EDGES_MS[-1] / 1000})
