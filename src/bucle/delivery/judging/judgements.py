"""What a judge of a rollout says, and how sure it has to be."""

import math
from typing import Literal

import msgspec

from bucle.messages import Phrase, Said

Verdict = Literal["undecided", "worse", "no worse"]

ALPHA = 0.05
"""Of rollouts of a challenger that is no worse, at most this share is rolled back, however often the judges look."""

SHARES = {"errors": 0.4, "latency": 0.2, "loss": 0.4}
"""How the judges share `ALPHA`."""

_MOST = 1e12


class Judgement(msgspec.Struct, frozen=True):
    """What a judge says after `requests` of the challenger: `e_value` against it, of which `threshold` is enough.

    "worse": it passed the threshold at some look. "no worse": the evidence that it is worse by less than the stated margin
    did. `e_value` is the present one, at most 1e12; `highest` the highest at any look. `sentence` says it in English, `said` in
    any language.
    """

    name: str
    e_value: float
    highest: float
    threshold: float
    verdict: Verdict
    requests: int
    sentence: str
    said: Phrase

    def told(self, lang: str) -> "Judgement":
        """Return the judgement with its sentence in a language."""
        return msgspec.structs.replace(self, sentence=self.said.text(lang))


def judgement_of(
    name: str, evidence: tuple[float, float], threshold: float, verdict: Verdict, requests: int, **seen: Said
) -> Judgement:
    """Return what a judge says; `evidence` is the present one and the highest, `seen` what it rests on."""
    fields: dict[str, Said] = {
        "verdict": Phrase(f"judge.verdict.{verdict.replace(' ', '_')}"),
        "evidence": evidence[0],
        "threshold": threshold,
    }
    said = Phrase(f"judge.{name}", {**seen, **fields})
    return Judgement(name, *evidence, threshold, verdict, requests, str(said), said)


def alpha_of(judge: str, alpha: float = ALPHA) -> float:
    """Return the part of `alpha` that a judge ("errors", "latency", "loss") may spend."""
    return alpha * SHARES[judge]


def bounded(log_e: float) -> float:
    """Return an e-value from its logarithm, such that it can be stored and shown."""
    return min(_MOST, math.exp(min(log_e, 50.0)))


def verdict_of(worse: float, no_worse: float, alpha: float) -> Verdict:
    """Return what the highest evidence of either kind (logarithms) amounts to; worse is worse, if only by a little."""
    needed = math.log(1 / alpha)
    return "worse" if worse >= needed else "no worse" if no_worse >= needed else "undecided"
