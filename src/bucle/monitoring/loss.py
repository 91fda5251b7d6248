"""The cumulative-loss rule: a retraining is due when what a model lost beyond its promise exceeds what retraining costs.

For each mature labelled prediction of the deployed model the sum grows by (loss - the model's mean loss on its own hold-out)
and never falls below zero. The unit is the loss of one wholly wrong prediction: the squared distance between probability and
outcome (Brier) for a classification, the squared error for a regression.
"""

from collections.abc import Iterable

import msgspec

from bucle.messages import Phrase


class LossState(msgspec.Struct, frozen=True):
    """The sum so far; `counted` and `total` are the labelled predictions and their whole loss since the deployment.

    `asked` counts how often the rule asked for a retraining; each time the sum starts afresh.
    """

    excess: float = 0.0
    counted: int = 0
    total: float = 0.0
    asked: int = 0


class LossStep(msgspec.Struct, frozen=True):
    """What some more mature labels did to the sum; `reached` is the excess that passed the cost, None when none did."""

    state: LossState
    reached: float | None


def row_loss(output: float, label: float, kind: str = "probability") -> float:
    """Return the loss of one prediction: squared distance between what was said and what happened; of a class, 0 or 1."""
    return float(output != label) if kind == "class" else (output - label) ** 2


def advance_loss(state: LossState, losses: Iterable[float], expected: float, retrain_cost: float | None) -> LossStep:
    """Return the state after `losses`, in the order in which they became known."""
    excess, counted, total, asked = state.excess, state.counted, state.total, state.asked
    reached: float | None = None
    for loss in losses:
        counted += 1
        total += loss
        excess = max(0.0, excess + loss - expected)
        if retrain_cost is not None and excess > retrain_cost:
            reached, excess, asked = excess, 0.0, asked + 1
    return LossStep(LossState(excess, counted, total, asked), reached)


def loss_phrase(service: str, reached: float, expected: float, mean: float, counted: int, retrain_cost: float) -> Phrase:
    """Say what the rule found."""
    found: dict[str, str | int | float] = {"reached": reached, "expected": expected, "mean": mean, "counted": counted}
    return Phrase("alert.degradation", {"service": service, **found, "cost": retrain_cost})


def decision_phrase(state: LossState, expected: float | None, retrain_cost: float | None) -> Phrase:
    """Say what the rule decides now, with its numbers."""
    if expected is None:
        return Phrase("decision.no_promise")
    if not state.counted:
        return Phrase("decision.no_labels", {"expected": expected})
    found: dict[str, str | int | float] = {"excess": state.excess, "expected": expected, "counted": state.counted}
    found |= {"mean": state.total / state.counted}
    if retrain_cost is None:
        return Phrase("decision.no_cost", found)
    found |= {"cost": retrain_cost, "asked": state.asked}
    return Phrase("decision.asked" if state.asked else "decision.not_due", found)
