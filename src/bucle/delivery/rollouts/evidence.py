"""The evidence of a rollout: what was seen of both arms, weighed by the judges, in the order in which it came in.

Evidence grows by single observations, never by "what was there when somebody looked": when it is looked at does not matter.
"""

import bisect
from collections.abc import Iterable, Sequence

import msgspec

from bucle.delivery.judging import (
    LATENCY_EDGES_MS,
    Counts,
    ErrorEvidence,
    Judgement,
    LatencyEvidence,
    PairedLossEvidence,
    alpha_of,
)
from bucle.monitoring import row_loss
from bucle.serving import Pair, StoredObservation

_BUCKETS = len(LATENCY_EDGES_MS) + 1
_NONE = (0,) * _BUCKETS
_BLOCK = 20
"""Timed parts of the challenger that make a block for the judge of latency; a block's size may not depend on its times."""
_CAUSES = 5


class Evidence(msgspec.Struct, frozen=True):
    """What the judges hold after `seen`, the position of the last observation.

    `step_rows` are the rows that the challenger was asked for in the present step; `timed` are latencies by bucket (champion,
    challenger) that make no block yet; `causes` says why the challenger failed how often, the most frequent five.
    """

    errors: ErrorEvidence = ErrorEvidence()
    latency: LatencyEvidence = LatencyEvidence()
    loss: PairedLossEvidence = PairedLossEvidence()
    seen: int = 0
    step_rows: int = 0
    timed: tuple[tuple[int, ...], tuple[int, ...]] = (_NONE, _NONE)
    causes: dict[str, int] = {}

    def after(self, observations: Iterable[StoredObservation], step: int) -> "Evidence":
        """Return the evidence after some more observations; `step` is the rollout's present one."""
        evidence = self
        for each in observations:
            evidence = evidence._after(each, step)
        return evidence

    def with_pairs(self, pairs: Sequence[Pair], kind: str) -> "Evidence":
        """Return the evidence after labels came for rows that both arms answered; `kind` is the contract's."""
        losses = [row_loss(pair.challenger, pair.label, kind) - row_loss(pair.champion, pair.label, kind) for pair in pairs]
        return msgspec.structs.replace(self, loss=self.loss.update(losses)) if losses else self

    def judgements(self, strategy: str) -> list[Judgement]:
        """Return what each judge that a strategy has says: of errors always, of losses in shadow, of latency in a canary."""
        found = [self.errors.judgement(alpha_of("errors"))]
        if "canary" in strategy:
            found.append(self.latency.judgement(alpha_of("latency")))
        if "shadow" in strategy:
            found.append(self.loss.judgement(alpha_of("loss")))
        return found

    def _after(self, seen: StoredObservation, step: int) -> "Evidence":
        counts, challenger = Counts(seen.rows, seen.failed), seen.arm == "challenger"
        errors = self.errors.update(Counts(), counts) if challenger else self.errors.update(counts, Counts())
        latency, timed = self._timed(seen)
        return msgspec.structs.replace(
            self,
            errors=errors,
            latency=latency,
            timed=timed,
            seen=seen.position,
            step_rows=self.step_rows + (seen.rows if challenger and seen.step == step else 0),
            causes=_counted(self.causes, seen) if challenger and seen.failed else self.causes,
        )

    def _timed(self, seen: StoredObservation) -> tuple[LatencyEvidence, tuple[tuple[int, ...], tuple[int, ...]]]:
        if seen.seconds is None:
            return self.latency, self.timed
        arm = 1 if seen.arm == "challenger" else 0
        timed = (
            (_one_more(self.timed[0], seen.seconds), self.timed[1])
            if arm == 0
            else (
                self.timed[0],
                _one_more(self.timed[1], seen.seconds),
            )
        )
        if sum(timed[1]) < _BLOCK or not sum(timed[0]):
            return self.latency, timed
        return self.latency.update(*timed), (_NONE, _NONE)


def _one_more(histogram: tuple[int, ...], seconds: float) -> tuple[int, ...]:
    bucket = bisect.bisect_left(LATENCY_EDGES_MS, seconds * 1000)
    return (*histogram[:bucket], histogram[bucket] + 1, *histogram[bucket + 1 :])


def _counted(causes: dict[str, int], seen: StoredObservation) -> dict[str, int]:
    after = causes | {seen.cause: causes.get(seen.cause, 0) + seen.failed}
    return dict(sorted(after.items(), key=lambda item: -item[1])[:_CAUSES])
