"""The five triggers: on demand, schedule, new data, degradation, drift; each run's cause is the event behind it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.pipelines.conftest import Place

from bucle.data.events import Arrived
from bucle.ledger import Dispatcher, Event, EventFilter, Scope, StoredEvent, Ticked, within
from bucle.monitoring.events import AlertFired
from bucle.pipelines import Triggers, on_degradation, on_new_data, on_schedule
from bucle.pipelines.errors import BadTrigger
from bucle.pipelines.triggers import fires

PRODUCTION = Scope("demo", "production")
NIGHT = datetime(2013, 5, 1, 3, tzinfo=UTC)


def alert_of(id: str, kind: str, model: str) -> AlertFired:
    return AlertFired(id, kind, "shop", "dep_1", model, None, "It is worse.", {})


@pytest.fixture
def fired(place: Place) -> Callable[..., list[StoredEvent]]:
    """Emit an event in production, deliver it twice, and return the starts of runs so far."""
    place.write("""
        import time

        @bucle.step(cache=False)
        def work() -> int:
            time.sleep(0.2)
            return 1

        @bucle.pipeline(triggers=[bucle.on_schedule("0 3 * * *")])
        def nightly():
            return work()

        @bucle.pipeline(triggers=[bucle.on_new_data("visits", rows=100)])
        def fresh():
            return work()

        @bucle.pipeline(model="buyer", triggers=[bucle.on_degradation(retrain_cost=300)])
        def retrain():
            return work()

        @bucle.pipeline(model="buyer", triggers=[bucle.on_drift()])
        def drifted():
            return work()
    """)
    code = place.code()
    triggers = Triggers(place.home.ledger, place.runs, lambda scope: code, lambda: [(code, PRODUCTION)])
    dispatcher = Dispatcher(place.home.ledger, triggers.subscriptions())

    def fire(event: Event, wait: bool = True) -> list[StoredEvent]:
        with within(PRODUCTION), place.home.ledger.write() as tx:
            tx.emit(event, "subject")
        dispatcher.drain()
        for subscription in triggers.subscriptions():  # at least once means that it may come twice
            stored = place.home.ledger.events(EventFilter(kinds=(event.kind,), newest_first=True, limit=1))[0]
            if event.kind in subscription.kinds:
                subscription.handler(stored)
        if wait:
            assert place.runs.wait_idle(60)
        return place.home.ledger.events(EventFilter(kinds=("pipelines.run_started",)))

    return fire


def _kinds(started: list[StoredEvent]) -> list[tuple[str, str]]:
    return [(event.data["pipeline"], event.data["trigger"]) for event in started]


def test_a_schedule_starts_a_run_at_its_time_and_missed_times_are_one(
    place: Place, fired: Callable[..., list[StoredEvent]]
) -> None:
    assert fired(Ticked(NIGHT - timedelta(hours=1))) == []
    assert _kinds(fired(Ticked(NIGHT))) == [("nightly", "schedule")]
    assert len(fired(Ticked(NIGHT + timedelta(hours=1)))) == 1
    started = fired(Ticked(NIGHT + timedelta(days=5)))
    assert _kinds(started) == [("nightly", "schedule")] * 2
    tick = place.home.ledger.events(EventFilter(kinds=("ledger.ticked",), newest_first=True, limit=1))[0]
    assert started[1].caused_by == (tick.seq,)
    assert (started[1].environment, started[1].actor) == ("production", "subscription:pipelines.schedules")


def test_new_data_starts_a_run_once_enough_has_arrived(fired: Callable[..., list[StoredEvent]]) -> None:
    def rows(count: int, source: str = "visits") -> Arrived:
        return Arrived(source, "ds_1", count, NIGHT)

    assert fired(rows(60)) == []
    assert fired(rows(500, "others")) == []
    assert _kinds(fired(rows(40))) == [("fresh", "new_data")]
    assert len(fired(rows(99))) == 1
    assert len(fired(rows(1))) == 2


@pytest.mark.parametrize(("kind", "pipeline"), [("degradation", "retrain"), ("drift", "drifted")])
def test_an_alert_about_the_model_starts_the_pipeline_that_makes_it(
    place: Place, fired: Callable[..., list[StoredEvent]], kind: str, pipeline: str
) -> None:
    """K-F4, K-28."""
    assert fired(alert_of("alert_1", kind, "another")) == []
    assert fired(alert_of("alert_2", "staleness", "buyer")) == []
    started = fired(alert_of("alert_3", kind, "buyer"))
    assert _kinds(started) == [(pipeline, kind)]
    alert = place.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",), newest_first=True, limit=1))[0]
    assert started[0].caused_by == (alert.seq,)
    run = place.home.ledger.why(started[0].subject)
    assert alert.seq in {event.seq for event in run}


def test_a_trigger_that_fires_while_its_pipeline_runs_joins_the_run(
    place: Place, fired: Callable[..., list[StoredEvent]]
) -> None:
    first = fired(alert_of("alert_1", "degradation", "buyer"), wait=False)
    assert len(fired(alert_of("alert_2", "degradation", "buyer"))) == 1
    joined = place.home.ledger.events(EventFilter(kinds=("pipelines.trigger_coalesced",)))
    assert [event.data["run"] for event in joined] == [first[0].subject]


def test_a_pipeline_says_what_starts_it_and_what_a_retraining_costs(
    place: Place, fired: Callable[..., list[StoredEvent]]
) -> None:
    spec = place.code().description.get("pipeline", "retrain").spec
    assert spec["triggers"] == [{"kind": "degradation", "retrain_cost": 300.0}]
    assert (spec["retrain_cost"], spec["model"]) == (300.0, "buyer")


@pytest.mark.parametrize(
    ("declare", "value"),
    [
        (lambda: on_schedule("every day"), "every day"),
        (lambda: on_degradation(0), "0"),
        (lambda: on_new_data("x", rows=0), "0"),
    ],
)
def test_a_trigger_that_could_never_work_is_refused_where_it_stands(declare: Callable[[], object], value: str) -> None:
    with pytest.raises(BadTrigger, match=value) as caught:
        declare()
    assert "test_triggers.py:" in (caught.value.where or "")


def test_a_schedule_fires_within_its_hour_only() -> None:
    day = datetime(2013, 5, 1, tzinfo=UTC)
    hits = [hour for hour in range(24) if fires("30 */6 * * *", day + timedelta(hours=hour), day + timedelta(hours=hour + 1))]
    assert hits == [0, 6, 12, 18]
