"""The judges of a rollout: no evidence without harm at any number of looks, real harm found, states that can be continued."""

import itertools
import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucle.delivery.judging import (
    ALPHA,
    LATENCY_EDGES_MS,
    Counts,
    ErrorEvidence,
    LatencyEvidence,
    PairedLossEvidence,
    alpha_of,
    detectable,
)
from bucle.delivery.judging.contrasts import nearest, upper_bound, wager
from bucle.delivery.judging.errors import ALONE, ERROR_MARGIN, NO_WORSE, WORSE
from bucle.serving import BOUNDS

ERRORS, LATENCY, LOSS = alpha_of("errors"), alpha_of("latency"), alpha_of("loss")
rates = st.floats(0, 1)
batches = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 30), rates, rates).map(
        lambda drawn: (Counts(drawn[0], int(drawn[0] * drawn[2])), Counts(drawn[1], int(drawn[1] * drawn[3])))
    ),
    max_size=12,
)
differences = st.lists(st.floats(-1, 1), max_size=60)


def draw(chance: random.Random, requests: int, rate: float) -> Counts:
    return Counts(requests, sum(chance.random() < rate for _ in range(requests)))


def histogram(latencies_ms: list[float]) -> list[int]:
    counts = [0] * (len(LATENCY_EDGES_MS) + 1)
    for each in latencies_ms:
        counts[sum(edge < each for edge in LATENCY_EDGES_MS)] += 1
    return counts


def expectation(alternatives, sizes: tuple[int, int], truth: tuple[float, float], margin: float) -> list[float]:
    """The exact mean of each bet's factor over all outcomes of a block."""
    total = [0.0] * len(alternatives)
    for failed in itertools.product(range(sizes[0] + 1), range(sizes[1] + 1)):
        chance = math.prod(math.comb(n, k) * p**k * (1 - p) ** (n - k) for n, k, p in zip(sizes, failed, truth, strict=True))
        block = (Counts(sizes[0], failed[0]), Counts(sizes[1], failed[1]))
        logs = wager((0.0,) * len(alternatives), alternatives, *block, margin)
        total = [sum_ + chance * math.exp(log) for sum_, log in zip(total, logs, strict=True)]
    return total


@given(st.integers(1, 9), st.integers(1, 9), rates, rates)
def test_no_bet_on_worse_wins_on_average_while_the_challenger_is_no_worse(a: int, b: int, p: float, q: float) -> None:
    assert max(expectation(WORSE, (a, b), (max(p, q), min(p, q)), 0.0)) <= 1 + 1e-9


@given(st.integers(1, 9), st.integers(1, 9), st.floats(0, 1 - ERROR_MARGIN), rates)
def test_no_bet_on_no_worse_wins_on_average_while_it_is_worse_by_the_margin(a: int, b: int, p: float, part: float) -> None:
    worse_by = ERROR_MARGIN + part * (1 - ERROR_MARGIN - p)
    assert max(expectation(NO_WORSE, (a, b), (p, min(1.0, p + worse_by)), ERROR_MARGIN)) <= 1 + 1e-9


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(1, 500), st.integers(1, 500), st.floats(0.001, 0.3))
def test_the_nearest_pair_of_the_null_is_nearer_than_its_neighbours(p: float, q: float, a: int, b: int, margin: float) -> None:
    def distance(x: float) -> float:
        return sum(
            n * (r * math.log(r / y) + (1 - r) * math.log((1 - r) / (1 - y))) for n, r, y in ((a, p, x), (b, q, x + margin))
        )

    x, y = nearest((p, q), a, b, margin)
    assert y == pytest.approx(x + margin)
    for other in (x * 0.999, x + (1 - margin - x) * 0.001):
        assert distance(x) <= distance(other) + 1e-9


@given(differences)
def test_evidence_on_losses_never_outgrows_the_bets_that_it_is_bounded_by(found: list[float]) -> None:
    """exp(s x - p(s) x^2) <= 1 + s x: so its mean is at most 1 whenever the mean of x is at most 0."""
    from bucle.delivery.judging.paired import STAKES

    evidence = PairedLossEvidence().update(found)
    wealth = sum(math.prod(1 + stake * each for each in found) for stake in STAKES) / len(STAKES)
    assert math.exp(evidence.log_worse) <= wealth * (1 + 1e-9)


@given(batches, st.randoms())
def test_the_order_of_batches_does_not_matter(found: list[tuple[Counts, Counts]], chance: random.Random) -> None:
    shuffled = chance.sample(found, len(found))
    one, other = ErrorEvidence(), ErrorEvidence()
    for first, second in zip(found, shuffled, strict=True):
        one, other = one.update(*first), other.update(*second)
    assert one.judgement(ERRORS).e_value == pytest.approx(other.judgement(ERRORS).e_value, rel=1e-9)
    assert (one.champion, one.challenger) == (other.champion, other.challenger)


@given(differences, st.integers(0, 60), st.randoms())
def test_neither_order_nor_batches_of_paired_rows_matter(found: list[float], cut: int, chance: random.Random) -> None:
    whole = PairedLossEvidence().update(found)
    shuffled = chance.sample(found, len(found))
    parts = PairedLossEvidence().update(shuffled[:cut]).update(shuffled[cut:])
    assert parts.log_worse == pytest.approx(whole.log_worse, abs=1e-9)
    assert parts.log_no_worse == pytest.approx(whole.log_no_worse, abs=1e-9)


@settings(max_examples=25)
@given(batches, differences)
def test_evidence_is_stored_and_continued_as_if_nothing_had_happened(
    found: list[tuple[Counts, Counts]], paired: list[float]
) -> None:
    errors, losses, latency = ErrorEvidence(Counts(1000, 10)), PairedLossEvidence(), LatencyEvidence()
    for champion, challenger in found:
        errors = _reborn(_reborn(errors).update(champion, challenger))
        assert errors == _reborn(errors)
        buckets = histogram([20.0] * champion.requests), histogram([200.0] * challenger.requests)
        assert _reborn(latency).update(*buckets) == latency.update(*buckets)
        latency = latency.update(*buckets)
    assert _reborn(losses).update(paired) == losses.update(paired)


def _reborn(evidence):
    return msgspec.json.decode(msgspec.json.encode(evidence), type=type(evidence))


def test_requests_one_by_one_wait_until_both_arms_have_some() -> None:
    chance, evidence = random.Random(5), ErrorEvidence()
    for _ in range(4000):
        arm = chance.random() < 0.1
        one = Counts(1, int(chance.random() < (0.1 if arm else 0.01)))
        evidence = evidence.update(Counts(), one) if arm else evidence.update(one, Counts())
    assert evidence.judgement(ERRORS).verdict == "worse"
    assert evidence.champion.requests + evidence.challenger.requests == 4000


def rollout(chance: random.Random, champion: float, challenger: float, *, looks: int = 5) -> str:
    """Canary steps of 10, 50 and 100 percent with 200 canary requests each, looked at every few requests."""
    evidence = ErrorEvidence(draw(chance, 2000, champion))
    for share in (0.1, 0.5, 1.0):
        for _ in range(200 // looks):
            ahead = draw(chance, round(looks * (1 - share) / share), champion)
            evidence = evidence.update(ahead, draw(chance, looks, challenger))
            if (verdict := evidence.judgement(ERRORS).verdict) == "worse":
                return verdict
    return evidence.judgement(ERRORS).verdict


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.1])
def test_a_healthy_challenger_is_seldom_found_worse_however_often_one_looks(rate: float) -> None:
    chance = random.Random(11)
    assert sum(rollout(chance, rate, rate) == "worse" for _ in range(60)) <= 4


def test_failures_that_rise_tenfold_are_found_within_600_requests() -> None:
    chance = random.Random(12)
    assert sum(rollout(chance, 0.01, 0.1) == "worse" for _ in range(60)) >= 57


def test_a_challenger_that_has_all_traffic_is_compared_with_the_champions_history() -> None:
    chance = random.Random(13)
    alone = ErrorEvidence(Counts(5000, 50))
    for _ in range(20):
        alone = alone.update(Counts(), draw(chance, ALONE, 0.1))
    assert alone.judgement(ERRORS).verdict == "worse"
    blind = ErrorEvidence()
    for _ in range(20):
        blind = blind.update(Counts(), draw(chance, ALONE, 0.1))
    assert blind.judgement(ERRORS).e_value == 1.0, "without a history there is nothing to compare with"


@given(st.integers(1, 10_000), rates)
def test_the_bound_on_a_rate_lies_above_it_and_shrinks_with_the_requests(requests: int, rate: float) -> None:
    counts = Counts(requests, int(requests * rate))
    assert counts.rate <= upper_bound(counts, 0.001) <= 1.0
    more = Counts(10 * requests, 10 * counts.failed)
    assert upper_bound(more, 0.001) <= upper_bound(counts, 0.001) + 1e-12


def test_the_ladder_of_latencies_is_that_of_serving() -> None:
    assert len(BOUNDS) == len(LATENCY_EDGES_MS)
    assert all(abs(1000 * ours - theirs) < 1e-3 * theirs for ours, theirs in zip(BOUNDS, LATENCY_EDGES_MS, strict=True))


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "no worse"), (1.3, "no worse"), (4.0, "worse")])
def test_a_much_slower_challenger_is_found_and_a_little_slower_one_tolerated(factor: float, verdict: str) -> None:
    chance, evidence = random.Random(14), LatencyEvidence()
    for _ in range(60):
        ahead = [chance.lognormvariate(3.5, 0.8) for _ in range(90)]
        evidence = evidence.update(histogram(ahead), histogram([factor * chance.lognormvariate(3.5, 0.8) for _ in range(10)]))
    assert evidence.judgement(LATENCY).verdict == verdict


@pytest.mark.parametrize(
    ("champion", "challenger", "said"),
    [
        ([], [], "No answer of the challenger or the champion has been timed yet: undecided"),
        ([20.0], [], "No answer of the challenger has been timed yet: undecided"),
        ([], [20.0], "No answer of the champion has been timed yet: undecided"),
    ],
)
def test_latencies_that_are_not_there_yet_are_said_to_be_so(champion: list[float], challenger: list[float], said: str) -> None:
    evidence = LatencyEvidence().update(histogram(champion), histogram(challenger))
    assert evidence.judgement(LATENCY).sentence.startswith(said)


def test_what_is_slower_but_fast_is_tolerated() -> None:
    evidence = LatencyEvidence()
    for _ in range(60):
        evidence = evidence.update(histogram([0.5] * 90), histogram([8.0] * 10))
    assert evidence.judgement(LATENCY).e_value <= 1.0


@pytest.mark.parametrize(("shift", "verdict"), [(-0.02, "no worse"), (0.0, "no worse"), (0.05, "worse")])
def test_paired_losses_tell_a_worse_model_from_one_that_is_no_worse(shift: float, verdict: str) -> None:
    chance, evidence = random.Random(15), PairedLossEvidence()
    for _ in range(60):
        evidence = evidence.update([chance.gauss(shift, 0.15) for _ in range(100)])
    assert evidence.judgement(LOSS).verdict == verdict


def test_differences_beyond_the_bound_are_cut_off_and_counted() -> None:
    evidence = PairedLossEvidence(bound=10.0).update([50.0, -3.0])
    assert (evidence.total, evidence.clipped) == (0.7, 1)
    assert "1 of them cut off at 10" in evidence.judgement(LOSS).sentence


def test_the_parts_of_alpha_are_no_more_than_the_whole() -> None:
    assert math.isclose(ERRORS + LATENCY + LOSS, ALPHA)


def test_a_rollout_says_beforehand_what_it_could_detect() -> None:
    found = detectable(600, (10, 50, 100), history=Counts(5000, 50), latencies=histogram([30.0] * 500), pairs=2000)
    assert found.error_rate is not None and found.error_rate < 0.1
    assert found.latency_factor is not None and found.loss is not None
    assert not found.nothing
    assert f"failures that rise from 1.0% to {found.error_rate:.1%}" in found.sentence


def test_a_champion_whose_times_are_unknown_leaves_unknown_what_slowness_could_be_detected() -> None:
    found = detectable(600, (10, 50, 100), history=Counts(5000, 50))
    assert found.latency_factor is None
    assert found.sentence.endswith("What slowness it could detect is not known: the champion's times are not.")
    assert "could not detect a higher loss" in found.sentence


def test_a_rollout_that_could_detect_nothing_says_so() -> None:
    nothing = detectable(2, (10, 50, 100))
    assert nothing.nothing
    assert nothing.sentence.startswith("This rollout could detect nothing")


def test_what_a_rollout_says_that_it_could_detect_is_detected() -> None:
    chance = random.Random(16)
    promised = detectable(600, (10, 50, 100), history=Counts(2000, 20)).error_rate
    assert promised is not None
    assert sum(rollout(chance, 0.01, promised, looks=20) == "worse" for _ in range(60)) >= 54
