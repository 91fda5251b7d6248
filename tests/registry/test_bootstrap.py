"""An equal challenger is seldom promoted, a better one is, and the verdict does not depend on chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.registry.bootstrap import LEVEL, joint_level, paired_difference

RANDOM = np.random.default_rng


def losses(random: np.random.Generator, rows: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Two models that are equally good: the same probabilities with independent errors."""
    truth = random.random(rows) < 0.25
    base = random.random(rows) * 0.5
    first, second = (np.clip(base + random.normal(0, noise, rows), 0, 1) for _ in range(2))
    return (first - truth) ** 2, (second - truth) ** 2


@pytest.mark.parametrize(("rows", "noise"), [(100, 0.1), (300, 0.05)])
def test_an_equal_challenger_is_promoted_in_no_more_than_six_of_a_hundred_cases(rows: int, noise: float) -> None:
    random, cases = RANDOM(2013), 2000
    promoted = sum(paired_difference(*losses(random, rows, noise), seed=case, resamples=1000).positive for case in range(cases))
    assert 0.02 <= promoted / cases <= 0.06


def test_rare_large_losses_do_not_promote_either() -> None:
    random, cases, promoted = RANDOM(1), 600, 0
    for case in range(cases):
        first, second = ((random.random(300) < 0.02).astype(float) for _ in range(2))
        promoted += paired_difference(first, second, case, resamples=500).positive
    assert promoted / cases <= 0.06


def test_a_better_challenger_is_promoted() -> None:
    random = RANDOM(5)
    worse, better = losses(random, 2000, 0.05)
    assert paired_difference(worse + 0.02, better, seed=1).positive
    assert paired_difference(better, worse + 0.02, seed=1).negative


@given(st.integers(0, 2**31), st.integers(2, 300))
@settings(max_examples=40, deadline=None)
def test_the_same_losses_give_the_same_bounds_and_swapping_mirrors_the_mean(seed: int, rows: int) -> None:
    first, second = losses(RANDOM(seed), rows, 0.1)
    found = paired_difference(first, second, seed=7, resamples=200)
    assert found == paired_difference(first, second, seed=7, resamples=200)
    assert found.low <= found.mean <= found.high
    assert paired_difference(second, first, seed=7, resamples=200).mean == pytest.approx(-found.mean)


def test_the_same_predictions_are_no_better() -> None:
    loss = RANDOM(0).random(100)
    found = paired_difference(loss, loss, seed=0)
    assert (found.mean, found.low, found.high, found.positive) == (0, 0, 0, False)
    assert not paired_difference(np.array([0.0]), np.array([0.0]), seed=0).positive


def test_many_rows_need_little_memory_at_a_time() -> None:
    first, second = losses(RANDOM(0), 50_000, 0.05)
    assert paired_difference(first, second, seed=0, resamples=100).rows == 50_000


def days_of_weather(random: np.random.Generator, days: int, each: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two equally good models; on each day the weather favours one of them for all of its rows."""
    favour = np.repeat(random.normal(0, 0.05, days), each)
    first, second = (random.random(days * each) * 0.5 for _ in range(2))
    return first + favour, second, np.repeat(np.arange(days) * 24 + 7, each)


def test_an_equal_challenger_is_not_promoted_by_the_weather_of_a_few_days() -> None:
    random, cases, by_day, by_row = RANDOM(2013), 1500, 0, 0
    for case in range(cases):
        first, second, hours = days_of_weather(random, 20, 50)
        by_day += paired_difference(first, second, case, 500, hours).positive
        by_row += paired_difference(first, second, case, 200).positive if case < 300 else 0
    assert 0.02 <= by_day / cases <= 0.06
    assert by_row / 300 > 0.12, "rows that count as independent promote it far too often: the days matter"


def test_days_are_drawn_where_there_are_enough_of_them_else_hours_else_rows() -> None:
    loss = RANDOM(1).random((2, 240))
    found = [
        paired_difference(*loss, seed=1, resamples=50, hours=hours)
        for hours in (np.arange(240), np.arange(240) // 12, np.zeros(240, dtype=np.int64), None)
    ]
    assert [(each.groups, each.unit) for each in found] == [(10, "day"), (20, "hour"), (240, "row"), (240, "row")]
    assert len({each.mean for each in found}) == 1


def test_bounds_for_many_slices_hold_for_all_of_them_at_once() -> None:
    chance, slices, families = np.random.default_rng(5), 20, 40
    alone = together = 0
    for family in range(families):
        losses = [(chance.random(100), chance.random(100)) for _ in range(slices)]
        below = [pair for pair in losses if paired_difference(*pair, seed=family).negative]
        alone += bool(below)
        together += any(paired_difference(*pair, seed=family, level=joint_level(slices)).negative for pair in below)
    assert alone > families / 3, "without a correction one of the slices looks bad"
    assert together <= 4


def test_one_slice_needs_no_correction() -> None:
    assert joint_level(1) == LEVEL == joint_level(0)
    assert joint_level(50) == pytest.approx(0.999)
