"""A watched service: windows are judged day by day, alerts fire with their causes, and the loss rule asks for a retraining."""

import random
from dataclasses import replace
from datetime import timedelta

import msgspec
import polars as pl
import pytest

from bucle.ledger import EventFilter, Scope, format_instant, parse_instant, to_us
from bucle.monitoring import WindowReport, list_alerts, open_alerts, store, summarize
from bucle.monitoring.loss import LossState, advance_loss, row_loss
from bucle.monitoring.training import profile_training
from bucle.monitoring.watches import WatchState

SCOPE = Scope("flights", "production")
BEGIN = parse_instant("2013-04-01T00:00:00Z")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def like_training(chance: random.Random, shift: float = 0.0, rows: int = 120) -> list:
    level = chance.gauss(10, 2) + shift
    return [([chance.choice(("EWR", "JFK")), chance.gauss(level, 4)], 0.5, None) for _ in range(rows)]


def windows(tower) -> list[WindowReport]:
    with tower.home.ledger.read() as reader:
        rows = reader.rows("SELECT report FROM monitoring_window ORDER BY until_us, event")
    return [msgspec.json.decode(row["report"], type=WindowReport) for row in rows]


def kinds(tower) -> list[tuple[str, str]]:
    with tower.home.ledger.read() as reader:
        return [(alert.kind, alert.feature) for alert in reversed(list_alerts(reader, SCOPE))]


def test_each_day_is_judged_once_caused_by_the_deployment_and_the_log(tower) -> None:
    tower.predict(BEGIN + HOUR, like_training(random.Random(3)))
    tower.advance(BEGIN + 2 * DAY + 5 * HOUR)
    evaluated = tower.home.ledger.events(EventFilter(kinds=("monitoring.window_evaluated",)))
    assert [event.data["predictions"] for event in evaluated] == [120, 0]
    causes = {tower.home.ledger.event(seq).kind for seq in evaluated[0].caused_by}
    assert causes == {"ledger.ticked", "serving.deployed", "serving.predictions_logged"}
    assert evaluated[0].data["verdict"] == "ok"
    assert evaluated[1].data["verdict"] == "insufficient data"


def test_the_same_hour_twice_is_judged_once(tower) -> None:
    tower.predict(BEGIN + HOUR, like_training(random.Random(3)))
    tower.advance(BEGIN + DAY)
    tick = tower.home.ledger.events(EventFilter(kinds=("ledger.ticked",)))[-1]
    tower.watching.tick(tick)
    assert len(windows(tower)) == 1


def test_days_like_those_of_training_page_nobody_for_a_month(tower) -> None:
    seldom = msgspec.structs.replace(tower.terms.monitor, false_pages_per_month=0.1)
    tower.terms = msgspec.structs.replace(tower.terms, monitor=seldom)
    tower.deploy(2)
    chance = random.Random(11)
    for day in range(30):
        tower.predict(BEGIN + day * DAY + HOUR, like_training(chance))
    tower.advance(BEGIN + 30 * DAY)
    assert kinds(tower) == []


def test_a_shifted_input_is_paged_once_within_days_and_resolved_when_it_is_calm_again(tower) -> None:
    chance = random.Random(5)
    for day in range(8):
        tower.predict(BEGIN + day * DAY + HOUR, like_training(chance, shift=6.0))
    tower.advance(BEGIN + 8 * DAY)
    assert [kind for kind in kinds(tower) if kind[0] == "drift"] == [("drift", "wind")]
    fired = tower.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
    (alert,) = (event for event in fired if event.data["alert_kind"] == "drift")
    assert alert.as_of <= BEGIN + 6 * DAY
    (window,) = [
        tower.home.ledger.event(seq) for seq in alert.caused_by if tower.home.ledger.event(seq).subject.startswith("win_")
    ]
    assert window.data["drifting"] == ["wind"]
    assert window.data["verdict"] == "alert"
    for day in range(8, 14):
        tower.predict(BEGIN + day * DAY + HOUR, like_training(chance))
    tower.advance(BEGIN + 14 * DAY)
    with tower.home.ledger.read() as reader:
        assert open_alerts(reader, SCOPE, "delay") == []
    resolved = {event.subject for event in tower.home.ledger.events(EventFilter(kinds=("monitoring.alert_resolved",)))}
    assert resolved == {event.subject for event in fired}


def test_missing_and_unseen_values_are_paged_by_the_first_window_that_has_them(tower) -> None:
    rows = like_training(random.Random(2))
    broken = [([origin, None], output, key) for ([origin, _], output, key) in rows[:40]]
    strange = [(["LGA", wind], output, key) for ([_, wind], output, key) in rows[40:60]]
    tower.predict(BEGIN + HOUR, broken + strange + rows[60:])
    tower.advance(BEGIN + DAY)
    assert sorted(kinds(tower)) == [("data_quality", "origin"), ("data_quality", "wind")]
    tower.predict(BEGIN + DAY + HOUR, rows)
    tower.advance(BEGIN + 2 * DAY)
    with tower.home.ledger.read() as reader:
        assert {alert.state for alert in list_alerts(reader, SCOPE)} == {"resolved"}


def test_performance_is_of_mature_predictions_with_coverage_and_slices(tower) -> None:
    chance = random.Random(8)
    rows = [([chance.choice(("EWR", "JFK")), 10.0], chance.random(), None) for _ in range(400)]
    ids = tower.predict(BEGIN + HOUR, rows)
    tower.advance(BEGIN + 4 * HOUR)
    truth = [float(chance.random() < output) for _, output, _ in rows]
    tower.label(ids[:300], truth[:300], BEGIN + 3 * HOUR)
    tower.predict(BEGIN + 23 * HOUR, rows[:10])
    tower.advance(BEGIN + DAY)
    overall, *slices = windows(tower)[0].performance
    assert (overall.mature, overall.labelled, overall.coverage) == (400, 300, 0.75), "those of 23:00 are not mature yet"
    expected = sum(row_loss(output, label) for (_, output, _), label in zip(rows[:300], truth[:300], strict=True)) / 300
    assert overall.loss is not None
    assert abs(overall.loss.value - expected) < 1e-12
    assert {each.slice for each in slices} == {"origin=EWR", "origin=JFK"}
    assert sum(each.labelled for each in slices) == 300


def test_the_loss_rule_fires_in_the_hour_in_which_the_cost_is_passed_and_counts_afresh(tower) -> None:
    ids = tower.predict(BEGIN + HOUR, [(["EWR", 10.0], 1.0, None)] * 7)
    tower.advance(BEGIN + 2 * HOUR)
    tower.label(ids, [0.0] * 7, BEGIN + 90 * timedelta(minutes=1))
    tower.advance(BEGIN + 4 * HOUR)
    (alert,) = tower.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
    assert alert.as_of == BEGIN + 4 * HOUR, "two hours after the prediction its label is final"
    assert alert.data["alert_kind"] == "degradation"
    assert alert.data["numbers"]["excess"] == pytest.approx(7 * 0.8)
    assert "a retraining costs 5" in alert.data["sentence"]
    ids = tower.predict(BEGIN + 4 * HOUR, [(["EWR", 10.0], 1.0, None)] * 13)
    tower.advance(BEGIN + 5 * HOUR)
    tower.label(ids, [0.0] * 13, BEGIN + 5 * HOUR)
    tower.advance(BEGIN + 7 * HOUR)
    fired = tower.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
    assert len(fired) == 2, "the second alert asks for a second retraining"
    with tower.home.ledger.read() as reader:
        assert [alert.state for alert in list_alerts(reader, SCOPE)] == ["firing", "resolved"]


def test_the_running_sum_equals_a_recomputation_over_all_usable_labels(tower) -> None:
    chance = random.Random(4)
    pending: list[tuple[str, float]] = []
    for hour in range(1, 30):
        rows = [(["EWR", 10.0], chance.random(), None) for _ in range(chance.randrange(1, 5))]
        pending += zip(tower.predict(BEGIN + (hour - 1) * HOUR, rows), (output for _, output, _ in rows), strict=True)
        tower.advance(BEGIN + hour * HOUR)
        chance.shuffle(pending)
        now, pending = pending[: len(pending) // 3], pending[len(pending) // 3 :]
        tower.label([id for id, _ in now], [float(chance.random() < 0.3) for _ in now], tower.home.ledger.clock.now())
    tower.advance(BEGIN + 33 * HOUR)
    sql = """SELECT p.output, label.value, max(label.as_of_us, p.as_of_us + ?) AS usable FROM label
             JOIN prediction p ON p.id = label.prediction ORDER BY 3, p.id"""
    with tower.home.ledger.read() as reader:
        rows = reader.rows(sql, (tower.terms.matures_us,))
        state = msgspec.json.decode(reader.row("SELECT state FROM watch WHERE ended = 0")["state"], type=WatchState)
    step = advance_loss(LossState(), [row_loss(row[0], row[1]) for row in rows], 0.2, 5.0)
    assert state.loss.counted == len(rows) > 20
    assert state.loss == step.state


def test_an_hour_s_labels_are_found_without_a_look_at_all_labels_before(tower) -> None:
    with tower.home.ledger.read() as reader:
        plan = [row["detail"] for row in reader.rows(f"EXPLAIN QUERY PLAN {store.USABLE_LABELS}", (0,) * 16)]
    searches = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
    assert [
        step for step in searches if "as_of_us>" not in step and "(id=?)" not in step and "(prediction=?)" not in step
    ] == []


def test_a_corrected_label_is_not_counted_twice(tower) -> None:
    from bucle.serving import LabelRow, record_labels

    ids = tower.predict(BEGIN + HOUR, [(["EWR", 10.0], 1.0, None)])
    tower.advance(BEGIN + 4 * HOUR)
    tower.label(ids, [0.0], BEGIN + 2 * HOUR)
    tower.advance(BEGIN + 5 * HOUR)
    with tower.home.ledger.write() as tx:
        record_labels(tx, SCOPE, "delay", [LabelRow(True, prediction_id=ids[0], replace=True)])
    tower.advance(BEGIN + 8 * HOUR)
    with tower.home.ledger.read() as reader:
        state = msgspec.json.decode(reader.row("SELECT state FROM watch")["state"], type=WatchState)
    assert state.loss.counted == 1


def test_a_new_deployment_begins_a_new_watch_and_resolves_the_alerts_about_the_old(tower) -> None:
    ids = tower.predict(BEGIN + HOUR, [(["EWR", 10.0], 1.0, None)] * 7)
    tower.advance(BEGIN + 2 * HOUR)
    tower.label(ids, [0.0] * 7, BEGIN + HOUR)
    tower.advance(BEGIN + 4 * HOUR)
    assert kinds(tower) == [("degradation", "")]
    tower.deploy(2)
    with tower.home.ledger.read() as reader:
        assert open_alerts(reader, SCOPE, "delay") == []
        watches = reader.rows("SELECT deployment, ended FROM watch ORDER BY event")
    assert [(row["deployment"] == tower.deployment.id, row["ended"]) for row in watches] == [(False, 1), (True, 0)]


def test_a_model_older_than_the_limit_is_stale(tower) -> None:
    monitor = msgspec.structs.replace(tower.terms.monitor, max_age_us=4 * 86_400_000_000)
    tower.terms = msgspec.structs.replace(tower.terms, monitor=monitor)
    tower.deploy(2)
    tower.advance(BEGIN + DAY)
    assert kinds(tower) == []
    tower.advance(BEGIN + 2 * DAY)
    assert kinds(tower) == [("staleness", "")]
    (fired,) = tower.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
    assert fired.data["numbers"] == {"age_days": 5.0, "limit_days": 4.0}


def test_answers_that_are_not_numbers_are_a_matter_of_quality(tower) -> None:
    tower.services.meter.refused(SCOPE, "delay", by_request=False, nonfinite=1)
    tower.predict(BEGIN + HOUR, like_training(random.Random(1)))
    tower.advance(BEGIN + DAY)
    assert kinds(tower) == [("data_quality", "")]
    assert windows(tower)[0].serving.nonfinite == 1


class Killed(BaseException):
    """The process ends here."""


def test_a_loss_that_passed_the_cost_is_not_forgotten_when_the_process_dies_between_two_windows(
    tower, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = tower.predict(BEGIN + HOUR, [(["EWR", 10.0], 1.0, None)] * 7)
    tower.advance(BEGIN + 2 * HOUR)
    tower.label(ids, [0.0] * 7, BEGIN + 90 * timedelta(minutes=1))
    commit, done = tower.watching._commit, []

    def commit_once(*arguments) -> None:
        if done:
            raise Killed
        done.append(commit(*arguments))

    monkeypatch.setattr(tower.watching, "_commit", commit_once)
    tick = tower.home.ledger.events(EventFilter(kinds=("ledger.ticked",)))[-1]
    late = replace(tick, data={"hour": format_instant(BEGIN + 2 * DAY)})
    with pytest.raises(Killed):
        tower.watching.tick(late)
    monkeypatch.undo()
    tower.advance(BEGIN + 3 * DAY)
    assert ("degradation", "") in kinds(tower)


def test_a_watch_that_fails_does_not_keep_the_others_from_being_watched(tower, monkeypatch: pytest.MonkeyPatch) -> None:
    tower.deploy_service("arrival")
    advance, advanced = tower.watching._advance, []

    def broken(watch, hour_us: int) -> None:
        advanced.append(watch.service)
        if watch.service == "delay":
            raise ValueError("its reference is damaged")
        advance(watch, hour_us)

    monkeypatch.setattr(tower.watching, "_advance", broken)
    tower.advance(BEGIN + HOUR)
    assert {"delay", "arrival"} <= set(advanced)
    assert tower.home.ledger.events(EventFilter(kinds=("ledger.delivery_failed",))), "the failure is on record"


def test_a_window_is_counted_page_by_page_and_the_pages_add_up(tower, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    for minutes in (1, 1, 2, 90):
        tower.predict(BEGIN + minutes * timedelta(minutes=1), like_training(chance, rows=40))
    monkeypatch.setattr(store, "WINDOW_PAGE", 33)
    with tower.home.ledger.read() as reader:
        place = (SCOPE.project, SCOPE.environment, "delay", tower.deployment.id)
        pages = list(store.window_pages(reader, place, to_us(BEGIN), to_us(BEGIN + DAY)))
    assert [len(page) for page in pages] == [33, 33, 33, 33, 28]
    assert len({row["id"] for page in pages for row in page}) == 160
    tower.advance(BEGIN + DAY)
    (report,) = windows(tower)
    assert report.predictions == 160
    assert [feature.profile.rows for feature in report.features] == [160, 160]
    (evaluated,) = tower.home.ledger.events(EventFilter(kinds=("monitoring.window_evaluated",)))
    entries = tower.home.ledger.events(EventFilter(kinds=("serving.predictions_logged",)))
    assert {entries[0].seq, entries[-1].seq} <= set(evaluated.caused_by)


def test_wind_in_another_unit_is_paged_by_the_first_day_that_has_it_with_the_unit(tower) -> None:
    """The reference's wind is written in whole knots; a day of it in km/h is no stormier than other days."""
    knots = 1.150779
    chance = random.Random(21)
    days = [[max(0, round(chance.gauss(chance.gauss(9, 2), 3))) * knots for _ in range(200)] for _ in range(60)]
    table = pl.DataFrame({"origin": ["EWR", "JFK"] * 6000, "wind": [value for day in days for value in day]})
    moments = pl.Series([day * 86_400_000_000 for day in range(60) for _ in range(200)])
    tower.use(profile_training(table, moments, 86_400_000_000))
    day = [round(chance.gauss(9, 3)) * knots for _ in range(120)]
    tower.predict(BEGIN + HOUR, [(["EWR", value], 0.5, None) for value in day])
    tower.predict(BEGIN + DAY + HOUR, [(["EWR", value * 1.609344], 0.5, None) for value in day])
    tower.advance(BEGIN + DAY)
    assert ("data_quality", "wind") not in kinds(tower)
    tower.advance(BEGIN + 2 * DAY)
    assert ("data_quality", "wind") in kinds(tower)
    with tower.home.ledger.read() as reader:
        (alert,) = (each for each in list_alerts(reader, SCOPE) if each.feature == "wind" and each.kind == "data_quality")
    assert alert.fired == BEGIN + 2 * DAY
    assert "mph -> km/h" in alert.sentence


def test_the_rule_s_decision_is_said_in_one_sentence_with_its_numbers(tower) -> None:
    def said() -> str:
        with tower.home.ledger.read() as reader:
            return summarize(reader, SCOPE, "delay", tower.home.ledger.clock.now()).loss.sentence

    assert "No prediction of this deployment has a mature label yet" in said()
    ids = tower.predict(BEGIN + HOUR, [(["EWR", 10.0], 1.0, None)] * 11)
    tower.advance(BEGIN + 2 * HOUR)
    tower.label(ids[:5], [0.0] * 5, BEGIN + HOUR)
    tower.advance(BEGIN + 4 * HOUR)
    assert said().startswith("No retraining is due: beyond what its hold-out promised the model lost 4.0 of the 5 units")
    tower.label(ids[5:], [0.0] * 6, BEGIN + 4 * HOUR)
    tower.advance(BEGIN + 6 * HOUR)
    assert "asked for 1 times" in said()
    assert "the model lost 3.2 of the 5 units" in said()
