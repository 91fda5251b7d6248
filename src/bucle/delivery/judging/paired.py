"""The judge of losses in shadow: both models answered the same rows; whose answers were worse, once labels are known?

Wealth grows by exp(s x - p(s) x^2), x a difference of losses in units of its bound, s a stake, p(s) = -log(1 - s) - s. It is an
e-process whenever the average of the differences' conditional means is at most zero (Howard, Ramdas, McAuliffe and Sekhon,
2021; Choe and Ramdas, 2023): the challenger may be better on some days and worse on others. It depends on the differences only
by their number, sum and sum of squares, so neither their order nor their batches matter.
"""

import math
from collections.abc import Iterable

import msgspec

from bucle.delivery.judging.contrasts import log_mean
from bucle.delivery.judging.judgements import Judgement, bounded, judgement_of, verdict_of
from bucle.messages import Phrase

LOSS_MARGIN = 0.01
"""A challenger whose mean loss is higher by less than this can be found "no worse"; in units of the bound."""

STAKES = tuple(0.9 / 2**step for step in range(8))


class PairedLossEvidence(msgspec.Struct, frozen=True):
    """Differences of losses (challenger - champion) so far, clipped to [-bound, bound], in units of it.

    With squared distances of probabilities (Brier) the bound 1 clips nothing. `highest` are the logarithms of the highest
    evidence at any look, for "worse" and for "no worse".
    """

    bound: float = 1.0
    rows: int = 0
    total: float = 0.0
    squares: float = 0.0
    clipped: int = 0
    highest: tuple[float, float] = (0.0, 0.0)

    def update(self, differences: Iterable[float]) -> "PairedLossEvidence":
        """Return the evidence after some more rows whose labels are known."""
        found = [difference / self.bound for difference in differences]
        scaled = [max(-1.0, min(1.0, each)) for each in found]
        after = msgspec.structs.replace(
            self,
            rows=self.rows + len(scaled),
            total=self.total + math.fsum(scaled),
            squares=self.squares + math.fsum(each * each for each in scaled),
            clipped=self.clipped + sum(abs(each) > 1 for each in found),
        )
        highest = (max(self.highest[0], after.log_worse), max(self.highest[1], after.log_no_worse))
        return msgspec.structs.replace(after, highest=highest)

    @property
    def log_worse(self) -> float:
        """The logarithm of the evidence that the challenger's mean loss is higher."""
        return log_evidence(self.total, self.squares)

    @property
    def log_no_worse(self) -> float:
        """The logarithm of the evidence that it is higher by less than the margin."""
        squares = self.squares - 2 * LOSS_MARGIN * self.total + self.rows * LOSS_MARGIN**2
        least = 1 + LOSS_MARGIN  # margin - x is at least -1 only in units of this
        return log_evidence((self.rows * LOSS_MARGIN - self.total) / least, squares / least**2)

    def judgement(self, alpha: float) -> Judgement:
        """Return what the evidence amounts to."""
        verdict, evidence = verdict_of(*self.highest, alpha), (bounded(self.log_worse), bounded(self.highest[0]))
        mean = self.bound * self.total / self.rows if self.rows else 0.0
        rows = {"rows": self.rows, "clipped": self.clipped, "bound": self.bound}
        labelled = Phrase("judge.rows_cut" if self.clipped else "judge.rows", rows)
        return judgement_of("loss", evidence, 1 / alpha, verdict, self.rows, labelled=labelled, mean=mean)


def log_evidence(total: float, squares: float) -> float:
    """Return the logarithm of the evidence of a sum of differences, given the sum of their squares, over all stakes."""
    return log_mean([stake * total - (-math.log1p(-stake) - stake) * squares for stake in STAKES])
