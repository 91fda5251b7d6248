"""The cumulative-loss rule agrees with a recomputation from its definition, asks when the cost is passed, and starts afresh."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bucle.monitoring.loss import LossState, advance_loss, row_loss

LOSSES = st.lists(st.floats(0, 1), max_size=60)


@given(LOSSES, st.floats(0, 1))
def test_the_sum_is_the_largest_excess_of_any_last_stretch(losses: list[float], expected: float) -> None:
    """Floored at zero after each row, the sum equals the maximum over all suffixes of the sum of excesses."""
    step = advance_loss(LossState(), losses, expected, None)
    suffixes = [sum(loss - expected for loss in losses[start:]) for start in range(len(losses) + 1)]
    assert math.isclose(step.state.excess, max(suffixes), abs_tol=1e-9)
    assert step.state.counted == len(losses)
    assert math.isclose(step.state.total, sum(losses), abs_tol=1e-9)
    assert step.reached is None


@given(LOSSES, st.floats(0, 1), st.floats(0.1, 5), st.integers(0, 60))
def test_it_does_not_matter_in_which_pieces_the_labels_come(
    losses: list[float], expected: float, cost: float, cut: int
) -> None:
    whole = advance_loss(LossState(), losses, expected, cost)
    first = advance_loss(LossState(), losses[:cut], expected, cost)
    second = advance_loss(first.state, losses[cut:], expected, cost)
    assert second.state == whole.state
    assert (first.reached is not None or second.reached is not None) == (whole.reached is not None)


def test_the_rule_asks_when_the_cost_is_passed_and_then_counts_afresh() -> None:
    step = advance_loss(LossState(), [1.0] * 4, 0.5, 2.0)
    assert (step.reached, step.state.excess) == (None, 2.0)
    step = advance_loss(step.state, [1.0], 0.5, 2.0)
    assert (step.reached, step.state.excess, step.state.asked) == (2.5, 0.0, 1)
    step = advance_loss(step.state, [1.0] * 4, 0.5, 2.0)
    assert (step.reached, step.state.excess) == (None, 2.0)


def test_a_model_as_good_as_promised_never_owes_a_retraining() -> None:
    step = advance_loss(LossState(), [0.1, 0.3] * 5000, 0.2, 1.0)
    assert step.reached is None
    assert step.state.excess < 0.2


def test_the_loss_of_a_wholly_wrong_prediction_is_one() -> None:
    assert row_loss(1.0, 0.0) == row_loss(0.0, 1.0) == 1.0
    assert row_loss(0.75, 1.0) == 0.0625
    assert (row_loss(2.0, 2.0, "class"), row_loss(2.0, 0.0, "class")) == (0.0, 1.0)
