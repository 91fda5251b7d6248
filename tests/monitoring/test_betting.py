"""The drift detector pages as seldom as it was told to, finds a real change within days, and learns how much days differ."""

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.data import ColumnProfile, profile_values
from bucle.monitoring.betting import SHIFTS, DriftState, advance_drift, bet, drift_threshold, highest_evidence, standing
from bucle.monitoring.reference import LEAST_DAYS, ScoreReference, measure_days
from bucle.monitoring.scores import scores_of, value_of

FEATURES = 30
THRESHOLD = drift_threshold(1.0, FEATURES, 30)
EDGES = tuple(-2.5 + 5 * step / 63 for step in range(64))


def shape() -> ColumnProfile:
    """Bins of training with the shares of a normal distribution."""
    empty = ColumnProfile("number", (0,) * (len(EDGES) + 1), edges=EDGES, lowest=-9.0, highest=9.0)
    chance = random.Random(99)
    return profile_values([chance.gauss(0, 1) for _ in range(50_000)], empty)


TRAINING = shape()
SCORES = scores_of(TRAINING)


def days(chance: random.Random, count: int, rows: int, *, shift: float = 0.0, between: float = 0.0, memory: float = 0.0):
    level, found = chance.gauss(0, 1), []
    for _ in range(count):
        level = memory * level + math.sqrt(1 - memory**2) * chance.gauss(0, 1)
        found.append((chance.gauss(0, 1) / math.sqrt(rows) + between * level + shift, rows))
    return found


def learned(chance: random.Random, rows: int, **kinds: float) -> ScoreReference:
    training = days(chance, 90, rows, **kinds)
    measured = measure_days("location", training)
    assert measured is not None
    return msgspec.structs.replace(measured, highest=highest_evidence(measured, 0.8, training, THRESHOLD))


def first_alarm(reference: ScoreReference, found: list[tuple[float, int]]) -> int | None:
    """The day of the first alarm on the location alone, as `advance_drift` counts it."""
    state = DriftState()
    for number, (value, rows) in enumerate(found, 1):
        step = advance_drift(state, window_with(value, rows), SCORES[:1], [reference], THRESHOLD)
        assert step is not None
        state = step.state
        if step.drifted:
            return number
    return None


def window_with(value: float, rows: int) -> ColumnProfile:
    """A window whose location is about `value`: training's profile, moved by weights."""
    shares = [count * max(0.0, 1 + value * weight) for count, weight in zip(TRAINING.counts, SCORES[0].weights, strict=True)]
    total = sum(shares)
    exact, counts, owed = [rows * share / total for share in shares], [], 0.0
    for each in exact:
        owed += each
        counts.append(int(owed + 0.5))
        owed -= counts[-1]
    return msgspec.structs.replace(TRAINING, counts=tuple(counts), nulls=0, unseen=0)


@pytest.mark.parametrize(("rows", "between", "memory"), [(100, 0.0, 0.0), (1000, 0.0, 0.0), (1000, 0.15, 0.5)])
def test_thirty_quiet_days_of_thirty_inputs_page_at_most_once_on_average(rows: int, between: float, memory: float) -> None:
    chance = random.Random(1)
    months = 10
    pages = 0
    for _ in range(months * FEATURES):
        reference = learned(chance, rows, between=between, memory=memory)
        wealth, highest = (0.0,) * len(SHIFTS), 0.0
        for value, count in days(chance, 30, rows, between=between, memory=memory):
            wealth = bet(wealth, *standing(reference, value, count), THRESHOLD)
            highest = max(
                highest,
                0.8
                * sum(each * (5.75 if abs(shift) == 3 else 2.4) for each, shift in zip(wealth, SHIFTS, strict=True))
                / len(SHIFTS),
            )
        pages += highest > max(THRESHOLD, 2 * reference.highest)
    assert pages / months <= 1.0


@pytest.mark.parametrize("rows", [100, 1000])
def test_a_quarter_of_a_deviation_in_three_inputs_is_seen_within_three_days(rows: int) -> None:
    chance = random.Random(2)
    seen = 0
    for _ in range(40):
        alarms = [first_alarm(learned(chance, rows), days(chance, 3, rows, shift=0.25)) for _ in range(3)]
        seen += any(alarm is not None for alarm in alarms)
    assert seen >= 0.85 * 40


def test_one_odd_day_alone_is_no_drift() -> None:
    reference = learned(random.Random(3), 1000)
    quiet = [(0.0, 1000)] * 5
    assert first_alarm(reference, [*quiet, (1.5, 1000), *quiet]) is None
    assert first_alarm(reference, [*quiet, (1.5, 1000), (1.5, 1000)]) == 7


@given(st.floats(-4, 4), st.floats(0.05, 1))
def test_the_bets_win_nothing_on_average_while_nothing_changes(centre: float, independence: float) -> None:
    """Over a normal day (by quadrature) each factor has a mean of at most 1, also when it counts as part of a day only."""
    grid = [step / 50 for step in range(-500, 501)]
    density = [math.exp(-x * x / 2) / math.sqrt(2 * math.pi) / 50 for x in grid]
    means = [0.0] * len(SHIFTS)
    for x, weight in zip(grid, density, strict=True):
        factors = bet((0.0,) * len(SHIFTS), x, independence, THRESHOLD)
        means = [mean + weight * factor for mean, factor in zip(means, factors, strict=True)]
    assert max(means) <= 1 + 1e-6


def test_more_allowed_false_pages_lower_the_threshold() -> None:
    assert drift_threshold(2.0, 12, 30) == drift_threshold(1.0, 12, 30) / 2
    assert drift_threshold(1000.0, 1, 30) == 1.0


def test_too_few_training_days_or_values_say_nothing() -> None:
    assert measure_days("location", [(0.0, 100)] * (LEAST_DAYS - 1)) is None
    assert advance_drift(DriftState(), window_with(0.0, 500), SCORES, [], THRESHOLD) is None
    reference = learned(random.Random(4), 100)
    assert advance_drift(DriftState(), window_with(0.0, 20), SCORES, [reference], THRESHOLD) is None


def test_days_that_resemble_those_before_count_as_parts_of_a_day() -> None:
    chance = random.Random(5)
    steady, restless = learned(chance, 1000), learned(chance, 1000, between=0.15, memory=0.9)
    assert steady.steady
    assert standing(steady, 0.0, 1000)[1] == 1.0
    assert not restless.steady
    assert standing(restless, 0.0, 1000)[1] < 0.5
    assert standing(restless, 0.3, 1000)[0] < standing(steady, 0.3, 1000)[0]


def test_the_detector_continues_from_a_stored_state() -> None:
    reference = learned(random.Random(6), 100)
    step = advance_drift(DriftState(), window_with(0.2, 100), SCORES, [reference], THRESHOLD)
    assert step is not None
    stored = msgspec.json.decode(msgspec.json.encode(step.state), type=DriftState)
    assert stored == step.state
    window = window_with(0.3, 100)
    assert advance_drift(stored, window, SCORES, [reference], THRESHOLD) == advance_drift(
        step.state, window, SCORES, [reference], THRESHOLD
    )


def test_three_calm_windows_take_the_reason_from_an_alert() -> None:
    reference = learned(random.Random(7), 1000)
    state = DriftState()
    for value, calm in ((2.0, 0), (0.0, 1), (0.0, 2), (0.0, 3)):
        step = advance_drift(state, window_with(value, 1000), SCORES, [reference], 1e9)
        assert step is not None
        state = step.state
        assert state.calm == calm
    assert state.is_calm


@given(st.lists(st.integers(0, 50), min_size=3, max_size=40).filter(lambda counts: sum(map(bool, counts)) > 1))
def test_every_score_has_mean_zero_and_variance_one_over_training(counts: list[int]) -> None:
    edges = tuple(float(step) for step in range(len(counts) - 1))
    categories = tuple(f"c{step}" for step in range(len(counts)))
    number = ColumnProfile("number", tuple(counts), edges=edges, lowest=-1.0, highest=99.0)
    for training in (number, ColumnProfile("category", tuple(counts), categories=categories)):
        for score in scores_of(training):
            total = sum(counts)
            mean = sum(c * w for c, w in zip(counts, score.weights, strict=True)) / total
            square = sum(c * w * w for c, w in zip(counts, score.weights, strict=True)) / total
            assert mean == pytest.approx(0.0, abs=1e-6)
            assert square == pytest.approx(1.0, rel=1e-6)


def test_values_beyond_training_count_on_the_side_where_they_lie() -> None:
    location = SCORES[0]
    above = value_of(location, profile_values([50.0] * 40, TRAINING))
    below = value_of(location, profile_values([-50.0] * 40, TRAINING))
    assert above is not None
    assert below is not None
    assert above[0] > 2.5
    assert below[0] < -2.5


def test_a_constant_input_has_nothing_to_follow() -> None:
    assert scores_of(ColumnProfile("number", (40,), lowest=1.0, highest=1.0)) == []
    assert scores_of(ColumnProfile("category", (40,), categories=("JFK",))) == []
