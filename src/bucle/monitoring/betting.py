"""Drift without crying wolf: a sequential bet against "today is a day like those of training".

Each window gets a conformal p-value: the share of training days that were at least as unlike training as a whole as the
window is. A bet on small p-values has expectation at most 1 while nothing changed, so the running sum of bets (the e-detector
of Shin, Ramdas and Rinaldo, 2023) passes a threshold c on average only once in c windows. The threshold is what
`false_pages_per_month` allows, shared by all features of a service.
"""

import bisect
from collections.abc import Sequence

import msgspec

_POWERS = (0.1, 0.3, 0.5)
"""Exponents of the bets k p^(k-1), equally weighted: the smaller, the more they win on the smallest p-values."""

_LEAST_DAYS = 20
"""Training days without which no p-value is small enough to say anything."""

_CALM = 0.1
_CALM_WINDOWS = 3


class DriftState(msgspec.Struct, frozen=True):
    """How far the bet against one feature has come; `calm` counts the last windows that looked like training."""

    evidence: float = 0.0
    windows: int = 0
    calm: int = 0

    @property
    def is_calm(self) -> bool:
        """Whether an alert about the feature has lost its reason."""
        return self.calm >= _CALM_WINDOWS


class DriftStep(msgspec.Struct, frozen=True):
    """What one window added: its distance from training, its p-value, the evidence so far and whether it passed."""

    state: DriftState
    distance: float
    p_value: float
    threshold: float
    drifted: bool


def drift_threshold(false_pages_per_month: float, features: int, windows_per_month: float) -> float:
    """Return the evidence that a feature must pass so that all together page falsely as seldom as declared."""
    return max(1.0, features * windows_per_month / false_pages_per_month)


def advance_drift(state: DriftState, distance: float, training: Sequence[float], threshold: float) -> DriftStep | None:
    """Return the state after a window, given the sorted distances of training's own days; None with too few of those.

    After passing the threshold the evidence starts again from nothing.
    """
    if len(training) < _LEAST_DAYS:
        return None
    at_least_as_far = len(training) - bisect.bisect_left(training, distance)
    p_value = (1 + at_least_as_far) / (1 + len(training))
    bet = sum(power * p_value ** (power - 1) for power in _POWERS) / len(_POWERS)
    evidence = (state.evidence + 1) * bet
    drifted = evidence > threshold
    calm = state.calm + 1 if p_value > _CALM else 0
    after = DriftState(0.0 if drifted else evidence, state.windows + 1, calm)
    return DriftStep(after, distance, p_value, threshold, drifted)
