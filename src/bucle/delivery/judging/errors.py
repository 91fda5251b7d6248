"""The judge of failures: does the challenger fail more often than the champion on the same traffic?"""

import msgspec

from bucle.delivery.judging.contrasts import Counts, log_factor, log_mean, raised, upper_bound, wager
from bucle.delivery.judging.judgements import Judgement, bounded, judgement_of, verdict_of
from bucle.messages import Phrase

ERROR_MARGIN = 0.01
"""A challenger that fails by less than this share more often can be found "no worse"."""

CHAMPION_RATES = (0.001, 0.004, 0.015, 0.05, 0.15, 0.4)
WORSE = tuple((rate, raised(rate, odds)) for rate in CHAMPION_RATES for odds in (2.5, 8.0, 40.0))
NO_WORSE = tuple((rate, rate) for rate in CHAMPION_RATES)

ALONE = 20
"""Requests of the challenger in a row without one of the champion after which it is compared with the champion's history."""

HISTORY_FACTOR = 2.0
"""How much more often than ever proven the champion is granted to fail where only its history is left to compare with."""

HISTORY_RISK = 0.001
"""The probability, taken off alpha, that the champion fails more often than its history lets one believe."""


class ErrorEvidence(msgspec.Struct, frozen=True):
    """Failures of both arms so far. `worse` and `no_worse` are the logarithms of the wealth of each bet.

    `waiting` are requests (champion, challenger) that make no block yet: a block needs both arms. Whether a block is complete
    depends on numbers of requests alone, never on failures. Once the challenger has all traffic, it is compared with twice the
    upper bound of what the champion's `history` shows; without a history nothing more can be learned then.
    """

    history: Counts = Counts()
    champion: Counts = Counts()
    challenger: Counts = Counts()
    waiting: tuple[Counts, Counts] = (Counts(), Counts())
    worse: tuple[float, ...] = (0.0,) * len(WORSE)
    no_worse: tuple[float, ...] = (0.0,) * len(NO_WORSE)
    highest: tuple[float, float] = (0.0, 0.0)

    def update(self, champion: Counts, challenger: Counts) -> "ErrorEvidence":
        """Return the evidence after some more requests; the increments may be of any size."""
        ahead, behind = self.waiting[0] + champion, self.waiting[1] + challenger
        after = msgspec.structs.replace(
            self, champion=self.champion + champion, challenger=self.challenger + challenger, waiting=(ahead, behind)
        )
        if ahead.requests and behind.requests:
            worse, no_worse = (
                wager(self.worse, WORSE, ahead, behind),
                wager(self.no_worse, NO_WORSE, ahead, behind, ERROR_MARGIN),
            )
        elif behind.requests >= ALONE and self.history.requests:
            worse, no_worse = self._alone(behind), self.no_worse
        else:
            return after
        highest = (max(self.highest[0], log_mean(worse)), max(self.highest[1], log_mean(no_worse)))
        waiting = (Counts(), Counts())
        return msgspec.structs.replace(after, waiting=waiting, worse=worse, no_worse=no_worse, highest=highest)

    def judgement(self, alpha: float) -> Judgement:
        """Return what the evidence amounts to."""
        spent = alpha - HISTORY_RISK if self.history.requests else alpha
        verdict = verdict_of(*self.highest, spent)
        evidence = (bounded(log_mean(self.worse)), bounded(self.highest[0]))
        shares = {"challenger": _share(self.challenger), "champion": _share(self.champion)}
        return judgement_of("errors", evidence, 1 / spent, verdict, self.challenger.requests, **shares)

    def _alone(self, block: Counts) -> tuple[float, ...]:
        bound = history_bound(self.history)
        return tuple(
            before + (log_factor((0.5, rates[1]), (0.5, bound), Counts(), block) if rates[1] > bound else 0.0)
            for before, rates in zip(self.worse, WORSE, strict=True)
        )


def history_bound(history: Counts) -> float:
    """Return the rate of failures that a challenger with all the traffic is granted."""
    return min(0.999, HISTORY_FACTOR * upper_bound(history, HISTORY_RISK))


def _share(counts: Counts) -> Phrase:
    return Phrase("judge.share", {"failed": counts.failed, "requests": counts.requests, "rate": counts.rate})
