"""Drift without crying wolf: sequential bets against "today is a day like those of training".

Each window bets on shifts of each score of an input, up and down: the likelihood ratio of a shifted day against one of
training, whose expectation is 1 while nothing changed. Days that resemble those before count as the fraction of an independent
day that they are (the ratio to the power of that fraction). The running sum of products (the e-detector of Shin, Ramdas and
Rinaldo, 2023) passes a threshold c on average only once in c windows. The threshold is what `false_pages_per_month` allows,
shared by all inputs of a service; no single day can carry the evidence further than half of the way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import msgspec

from bucle.data import ColumnProfile
from bucle.monitoring.reference import ScoreReference
from bucle.monitoring.scores import Score, value_of

MONTH_US = 30 * 86_400_000_000

SHIFTS = tuple(sign * size for size in (1.5, 3.0) for sign in (1, -1))
"""What is bet on, in deviations of a day of training."""

_OVERSHOOTS = tuple(math.exp(0.583 * abs(shift)) for shift in SHIFTS)
"""By how much wealth jumps beyond a threshold when it passes it (Siegmund, 1985): a bet counts for that much more where days
are known to be normal, and the threshold is still passed as seldom."""

_UNREST = 2.0
"""An input goes this much further than it ever went in training itself before it counts as drifting."""

_CALM = 0.1
_CALM_WINDOWS = 3
_NORMAL = NormalDist()


class DriftState(msgspec.Struct, frozen=True):
    """How far the bets against one input have come: for each score the wealth of each of `SHIFTS`.

    `calm` counts the last windows that looked like training.
    """

    wealth: dict[str, tuple[float, ...]] = {}
    windows: int = 0
    calm: int = 0

    @property
    def is_calm(self) -> bool:
        """Whether an alert about the input has lost its reason."""
        return self.calm >= _CALM_WINDOWS


@dataclass(frozen=True, slots=True)
class DriftStep:
    """What one window added: the evidence so far, the chance of its strangest score, and whether the threshold was passed.

    `score` is that score's name, `deviations` how far it lies from training's days.
    """

    state: DriftState
    evidence: float
    p_value: float
    score: str
    deviations: float
    threshold: float
    drifted: bool


def drift_threshold(false_pages_per_month: float, features: int, windows_per_month: float) -> float:
    """Return the evidence that an input must pass so that all together page falsely as seldom as declared."""
    return max(1.0, features * windows_per_month / false_pages_per_month)


def advance_drift(
    state: DriftState,
    window: ColumnProfile,
    scores: Sequence[Score],
    training: Sequence[ScoreReference],
    threshold: float,
) -> DriftStep | None:
    """Return the state after a window; None when training had too few days, or the window has too few values.

    After passing the threshold the evidence starts again from nothing.
    """
    known = {reference.name: reference for reference in training}
    wealth, evidence, strangest = dict(state.wealth), 0.0, ("", 0.0)
    judged = 0
    for score in scores:
        before = wealth.get(score.name, (0.0,) * len(SHIFTS))
        value = value_of(score, window)
        if score.name not in known:
            continue
        if value is not None:
            deviations, independence = standing(known[score.name], *value)
            before = bet(before, deviations, independence, threshold)
            strangest = max(strangest, (score.name, deviations), key=lambda each: abs(each[1]))
            judged += 1
        wealth[score.name] = before
        evidence += score.stake * _evidence(known[score.name], before)
    if not judged:
        return None
    p_value = min(1.0, judged * 2 * _NORMAL.cdf(-abs(strangest[1])))
    needed = max(threshold, _UNREST * max(reference.highest for reference in training))
    drifted = evidence > needed
    calm = state.calm + 1 if p_value > _CALM else 0
    after = DriftState({} if drifted else wealth, state.windows + 1, calm)
    return DriftStep(after, evidence, p_value, strangest[0], strangest[1], needed, drifted)


def standing(reference: ScoreReference, value: float, rows: int) -> tuple[float, float]:
    """Return how many deviations a window lies from training's days, and what fraction of an independent day it is."""
    noise = reference.within / rows
    variance = reference.between + noise + reference.uncertain
    lasting = reference.lasting + noise + reference.uncertain
    return (value - reference.mean) / math.sqrt(variance), min(1.0, variance / lasting)


def bet(wealth: Sequence[float], deviations: float, independence: float, threshold: float) -> tuple[float, ...]:
    """Return the wealth of the bets on each of `SHIFTS` after a window; one window multiplies by at most sqrt(threshold)."""
    most = math.log(threshold) / 2
    return tuple(
        (before + 1) * math.exp(min(most, independence * (shift * deviations - shift * shift / 2)))
        for before, shift in zip(wealth, SHIFTS, strict=True)
    )


def _evidence(reference: ScoreReference, wealth: Sequence[float]) -> float:
    counted = _OVERSHOOTS if reference.steady else (1.0,) * len(SHIFTS)
    return sum(gain * each for gain, each in zip(counted, wealth, strict=True)) / len(SHIFTS)


def highest_evidence(reference: ScoreReference, stake: float, days: Sequence[tuple[float, int]], threshold: float) -> float:
    """Return how far the bets on one score would have come in training itself; of a steady one nobody has to know."""
    if reference.steady:
        return 0.0
    wealth, highest = (0.0,) * len(SHIFTS), 0.0
    for value, rows in days:
        wealth = bet(wealth, *standing(reference, value, rows), threshold)
        highest = max(highest, stake * _evidence(reference, wealth))
    return highest
