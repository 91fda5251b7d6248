"""Service objectives: budgets are what recorded traffic makes them, fast burns alert and stop, little traffic says so."""

import random
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

import bucle
from bucle.ledger import EventFilter, Scope, parse_instant, to_us
from bucle.monitoring import Budget, Objectives, budget_gauges, open_alerts, summarize
from bucle.monitoring.budgets import RULES, Tally, budget_of
from bucle.serving import ObjectiveSpec
from bucle.serving.errors import BadObjective
from bucle.serving.traffic import Meter

SCOPE = Scope("flights", "production")
BEGIN = parse_instant("2013-04-01T00:00:00Z")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
AVAILABLE = bucle.Objective("availability", target=0.99).spec()
QUICK = bucle.Objective("latency", target=0.9, under="51200us", name="quick").spec()


@pytest.fixture
def promised(tower) -> Iterator[Objectives]:
    """The watched service with two objectives; `serve` counts requests at the present moment of the clock."""
    tower.terms = msgspec.structs.replace(tower.terms, objectives=(AVAILABLE, QUICK))
    tower.deploy(2)
    yield Objectives(tower.home.ledger, tower.services)


def serve(tower, good: int, failed: int = 0, refused: int = 0, slow: int = 0) -> None:
    meter: Meter = tower.services.meter
    for number in range(good):
        meter.answered(SCOPE, "delay", 1, 0, 0.2 if number < slow else 0.01)
    for number in range(failed + refused):
        meter.refused(SCOPE, "delay", by_request=number >= failed)
    tower.services.flush()


def budget(tower, name: str = "availability") -> Budget:
    with tower.home.ledger.read() as reader:
        summary = summarize(reader, SCOPE, "delay", tower.home.ledger.clock.now())
    return next(each for each in summary.objectives if each.name == name)


def firing(tower) -> list[str]:
    with tower.home.ledger.read() as reader:
        return [each.feature for each in open_alerts(reader, SCOPE, "delay") if each.kind == "objective"]


def test_what_is_left_is_what_recorded_requests_left(tower, promised) -> None:
    tower.advance(BEGIN + HOUR)
    serve(tower, good=9_960, failed=40, refused=500, slow=498)
    found = budget(tower)
    assert (found.requests, found.bad) == (10_000, 40), "what is refused by its own fault does not count"
    assert found.good == pytest.approx(0.996)
    assert found.remaining == pytest.approx(1 - 40 / 100)
    assert found.state == "ok"
    quick = budget(tower, "quick")
    assert (quick.requests, quick.bad) == (9_960, 498), "latency is of what was answered"
    assert quick.remaining == pytest.approx(1 - 498 / 996)
    assert quick.counted_under == pytest.approx(0.0512)


def test_too_few_requests_for_one_to_fail_are_insufficient_data(tower, promised) -> None:
    assert budget(tower).state == "insufficient data"
    serve(tower, good=98, failed=1)
    found = budget(tower)
    assert (found.state, found.remaining, found.requests) == ("insufficient data", None, 99)
    serve(tower, good=1)
    assert budget(tower).state == "exhausted"


def test_requests_leave_the_budget_with_the_rolling_window(tower, promised) -> None:
    tower.advance(BEGIN + HOUR)
    serve(tower, good=1_000, failed=100)
    promised.judge()
    assert budget(tower).state == "exhausted"
    tower.home.ledger.move_clock(BEGIN + 29 * DAY)
    assert budget(tower).state == "exhausted"
    tower.home.ledger.move_clock(BEGIN + 32 * DAY)
    serve(tower, good=1_000)
    found = budget(tower)
    assert (found.requests, found.bad, found.state) == (1_000, 0, "ok")


def test_a_fast_burn_fires_once_with_its_causes_and_is_resolved_when_it_stops(tower, promised) -> None:
    tower.advance(BEGIN + HOUR)
    serve(tower, good=800, failed=200)
    promised.judge()
    promised.judge()
    assert firing(tower) == ["availability (fast burn)", "availability (slow burn)"]
    fired = tower.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
    fast = next(event for event in fired if event.data["feature"] == "availability (fast burn)")
    assert fast.data["alert_kind"] == "objective"
    assert fast.data["numbers"]["burn_rate"] == pytest.approx(20)
    assert "burns 20.0 times as fast" in fast.data["sentence"]
    assert tower.deployment.event in fast.caused_by
    tower.advance(BEGIN + 2 * HOUR)
    serve(tower, good=5_000)
    promised.judge()
    assert firing(tower) == ["availability (slow burn)"], "the short windows are calm; the last six hours are not"
    tower.advance(BEGIN + 9 * HOUR)
    serve(tower, good=1_000)
    promised.judge()
    assert firing(tower) == []


def test_silence_after_a_burn_resolves_nothing_until_it_left_the_long_window(tower, promised) -> None:
    tower.advance(BEGIN + HOUR)
    serve(tower, good=0, failed=50)
    promised.judge()
    tower.advance(BEGIN + HOUR + 30 * timedelta(minutes=1))
    promised.judge()
    assert "availability (fast burn)" in firing(tower), "nobody asked since: nothing shows that it is well again"


def test_a_few_bad_requests_of_a_few_alert_nobody_and_a_steady_allowed_share_neither(tower, promised) -> None:
    tower.advance(BEGIN + HOUR)
    serve(tower, good=6, failed=4)
    promised.judge()
    assert firing(tower) == []
    for hour in range(2, 30):
        tower.advance(BEGIN + hour * HOUR)
        serve(tower, good=995, failed=5)
        promised.judge()
    assert firing(tower) == []
    assert budget(tower).state == "ok"


def test_what_is_rolled_up_is_what_would_be_read_anew(tower, promised) -> None:
    chance = random.Random(7)
    fresh = Objectives(tower.home.ledger, tower.services)
    for minutes in range(5, 400, 7):
        tower.home.ledger.move_clock(BEGIN + timedelta(minutes=minutes))
        serve(tower, good=chance.randrange(40), failed=chance.randrange(3))
        if chance.random() < 0.4:
            fresh.judge()
    now = to_us(tower.home.ledger.clock.now())
    with tower.home.ledger.read() as reader:
        kept = budget_of(AVAILABLE, Tally(reader, SCOPE, "delay", AVAILABLE, now))
        assert reader.row("SELECT count(*) FROM objective_slot")[0] > 10
    with tower.home.ledger.write() as tx:
        tx.execute("DELETE FROM objective_slot", ())
    with tower.home.ledger.read() as reader:
        assert budget_of(AVAILABLE, Tally(reader, SCOPE, "delay", AVAILABLE, now)) == kept
    with tower.home.ledger.read() as reader:
        assert {each.budget.name for each in budget_gauges(reader, now)} == {"availability", "quick"}


def test_burn_rates_are_those_of_the_workbook_and_scale_with_the_window() -> None:
    month, week = AVAILABLE.window_us, bucle.Objective("availability", target=0.99, window="7d").spec().window_us
    assert [rule.limit(month) for rule in RULES] == pytest.approx([14.4, 6, 1])
    assert [rule.limit(week) for rule in RULES] == pytest.approx([3.36, 1.4, 0.2333], abs=1e-3)


def test_between_two_buckets_the_lower_bound_counts_so_that_nothing_slow_is_called_fast() -> None:
    spec = bucle.Objective("latency", target=0.99, under="50ms").spec()
    assert spec.counted_under == pytest.approx(0.0430539)
    assert QUICK.counted_under == pytest.approx(0.0512)


@pytest.mark.parametrize(
    "given",
    [
        {"indicator": "throughput", "target": 0.9},
        {"indicator": "availability", "target": 99.9},
        {"indicator": "availability", "target": 1.0},
        {"indicator": "availability", "target": 0.9, "under": "5ms"},
        {"indicator": "latency", "target": 0.9},
        {"indicator": "latency", "target": 0.9, "under": "1h"},
        {"indicator": "availability", "target": 0.9, "window": "1d"},
    ],
)
def test_an_objective_that_makes_no_sense_is_refused_where_it_stands(given: dict) -> None:
    with pytest.raises(BadObjective) as caught:
        bucle.Objective(**given)
    assert caught.value.where is not None and __file__ in caught.value.where


def test_objectives_are_part_of_the_service_and_have_names_of_their_own() -> None:
    service = bucle.Service("delay", model="delay", objectives=[bucle.Objective("availability", target=0.99)])
    assert service.spec().objectives == (ObjectiveSpec("availability", "availability", 0.99, 30 * 86_400_000_000),)
    with pytest.raises(BadObjective):
        bucle.Service("delay", model="delay", objectives=[bucle.Objective("availability", target=0.99)] * 2)
