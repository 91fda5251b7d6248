"""The drift detector pages as seldom as it was told to, and finds a real change within days."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.monitoring.betting import DriftState, advance_drift, drift_threshold

DAYS = 90


def false_alarms(seed: int, threshold: float, windows: int) -> int:
    """Run the detector over days that are like those of training: distances drawn from one distribution."""
    chance = random.Random(seed)
    training = sorted(chance.lognormvariate(0, 1) for _ in range(DAYS))
    state, alarms = DriftState(), 0
    for _ in range(windows):
        step = advance_drift(state, chance.lognormvariate(0, 1), training, threshold)
        assert step is not None
        state, alarms = step.state, alarms + step.drifted
    return alarms


def test_false_pages_stay_below_what_was_declared_over_many_seeds() -> None:
    features, months, homes = 10, 3, 40
    threshold = drift_threshold(1.0, features, 30)
    pages = sum(false_alarms(seed, threshold, 30 * months) for seed in range(features * homes))
    assert pages / (months * homes) <= 1.0


@pytest.mark.parametrize("seed", range(10))
def test_a_change_beyond_all_training_days_is_found_within_five_days(seed: int) -> None:
    chance = random.Random(seed)
    training = sorted(chance.lognormvariate(0, 1) for _ in range(DAYS))
    threshold = drift_threshold(1.0, 12, 30)
    state = DriftState()
    days = 0
    while days < 6:
        days += 1
        step = advance_drift(state, 2 * training[-1], training, threshold)
        assert step is not None
        if step.drifted:
            break
        state = step.state
    assert step.drifted
    assert 2 <= days <= 5, "one odd day alone is no drift"


def test_more_allowed_false_pages_lower_the_threshold() -> None:
    assert drift_threshold(2.0, 12, 30) == drift_threshold(1.0, 12, 30) / 2
    assert drift_threshold(1000.0, 1, 30) == 1.0


def test_too_few_training_days_say_nothing() -> None:
    assert advance_drift(DriftState(), 1.0, [0.1] * 19, 10.0) is None


@given(st.lists(st.floats(0, 10), min_size=20, max_size=60), st.floats(0, 20))
def test_the_p_value_counts_the_training_days_at_least_as_far(distances: list[float], distance: float) -> None:
    step = advance_drift(DriftState(), distance, sorted(distances), 1e9)
    assert step is not None
    assert step.p_value == (1 + sum(each >= distance for each in distances)) / (1 + len(distances))


def test_the_bet_wins_nothing_on_average_while_nothing_changes() -> None:
    ranks = range(1, DAYS + 2)
    training = [float(day) for day in range(DAYS)]
    evidence = []
    for rank in ranks:
        step = advance_drift(DriftState(), DAYS - rank + 0.5, training, 1e9)
        assert step is not None
        evidence.append(step.state.evidence)
    assert sum(evidence) / len(evidence) <= 1.0 + 1e-9


def test_three_calm_windows_take_the_reason_from_an_alert() -> None:
    training = [float(day) for day in range(DAYS)]
    state = DriftState()
    for distance, calm in ((1000.0, 0), (5.0, 1), (5.0, 2), (5.0, 3)):
        step = advance_drift(state, distance, training, 1e9)
        assert step is not None
        state = step.state
        assert state.calm == calm
    assert state.is_calm
