"""How a rollout ends by a person's word or by the clock, and what it says before it begins."""

import pytest
from tests.delivery.rollouts.conftest import DEV

from bucle.delivery import newest_rollout, prospects, show
from bucle.delivery.errors import NoRollout, NotComparable, RolloutRunning, UnknownRollout
from bucle.delivery.rollouts.planning import plan_service, terms_of
from bucle.errors import RemoteError
from bucle.ledger import acting
from bucle.project import RolloutPolicy, working_tree
from bucle.runtimes import load_code

CANARY = RolloutPolicy("canary", (10, 100), requests=600)


def test_a_step_without_its_evidence_in_time_gives_the_traffic_back_and_says_what_it_lacked(trial, make_row) -> None:
    from datetime import timedelta

    trial.begin("better", strategy="canary", steps=(50, 100), requests=500, within=timedelta(hours=6))
    trial.ask(*(make_row(number) for number in range(40)))
    trial.judged()
    trial.advance(hours=7)
    shown = trial.judged()
    assert (shown.state, shown.cause) == ("rolled back", "time")
    assert "more requests" in shown.sentence and "nothing is decided" in shown.sentence
    assert trial.ask(make_row(1))[0]["version"] == 1
    assert trial.events("monitoring.alert_fired") == [], "nobody is called for what nothing shows to be bad"


def test_a_step_holds_as_long_as_it_is_told_to(trial, make_row) -> None:
    from datetime import timedelta

    trial.begin("better", strategy="canary", steps=(50, 100), requests=5, hold=timedelta(hours=4))
    trial.ask(*(make_row(number) for number in range(40)))
    shown = trial.judged()
    assert shown.state == "running" and shown.missing == ["4.0 hours of its least time"]
    trial.advance(hours=5)
    assert trial.judged().state == "completed"


def test_rolling_the_service_back_ends_the_rollout_and_the_champion_stays(trial, make_row) -> None:
    trial.begin("better", strategy="canary", steps=(50, 100))
    done = trial.client.post(trial.client.path("rollback"), {"name": "delay"}, {"environment": "dev"})
    assert (done["left"], done["restored"]) == ("delay@2", "delay@1")
    assert {each["version"] for each in trial.ask(*(make_row(number) for number in range(40)))} == {1}
    (gone,) = trial.events("delivery.rollout_rolled_back")
    assert gone.data["reason"] == "hand" and trial.shown().cause == "hand"


def test_a_person_may_go_on_without_the_evidence_or_end_it_with_a_reason(trial, make_row) -> None:
    path, query = trial.client.path("services", "delay", "rollout"), {"environment": "dev"}
    with pytest.raises(RemoteError) as none:
        trial.client.get(path, query)
    assert none.value.code == NoRollout.code
    trial.begin("better", strategy="canary", steps=(10, 50, 100), requests=500)
    moved = trial.client.post(f"{path}/advance", None, query)
    assert [step["state"] for step in moved["steps"]] == ["done", "current", "waiting"]
    (advanced,) = trial.events("delivery.rollout_advanced")
    assert advanced.data["by_hand"] and advanced.data["share"] == 50
    ended = trial.client.post(f"{path}/abort", {"reason": "the fair begins tomorrow"}, query)
    assert ended["state"] == "rolled back" and "the fair begins tomorrow" in ended["sentence"]
    with pytest.raises(RemoteError) as over:
        trial.client.post(f"{path}/abort", {"reason": "again"}, query)
    assert over.value.code == NoRollout.code
    listed = trial.client.get(trial.client.path("rollouts"), query)
    assert [each["id"] for each in listed] == [ended["id"]] and listed[0]["points"] == []
    one = trial.client.get(trial.client.path("rollouts", ended["id"]))
    assert [point["number"] for point in one["points"]] == list(range(len(one["points"]))) and one["points"]
    with pytest.raises(RemoteError) as unknown:
        trial.client.get(trial.client.path("rollouts", "roll_none"))
    assert unknown.value.code == UnknownRollout.code


def test_two_rollouts_of_a_service_at_a_time_are_refused(trial) -> None:
    trial.begin("better", strategy="canary")
    code = load_code(trial.house.home, trial.house.runners, working_tree(trial.root))
    with pytest.raises(RolloutRunning, match="delay@2"):
        plan_service(trial.house.home, DEV, code, trial.candidate("gusty"), CANARY)


def test_a_version_that_answers_another_question_is_not_tried_beside_the_one_that_answers(trial) -> None:
    import dataclasses

    import msgspec

    code = load_code(trial.house.home, trial.house.runners, working_tree(trial.root))
    candidate = trial.candidate("better")
    other = dataclasses.replace(candidate, contract=msgspec.structs.replace(candidate.contract, label="very_late"))
    with pytest.raises(NotComparable, match="label differs"):
        plan_service(trial.house.home, DEV, code, other, CANARY)
    assert plan_service(trial.house.home, DEV, code, candidate, RolloutPolicy()).terms is None, "all at once needs no trial"


def test_what_could_be_detected_is_said_and_also_that_it_is_nothing(trial, make_row) -> None:
    champion = trial.services.current(DEV, "delay")

    def terms() -> object:
        trial.services.flush()
        with trial.house.ledger.read() as reader:
            return terms_of(reader, champion, CANARY, trial.house.ledger.clock.now_us())

    none = terms()
    assert none.prospect.nothing and none.prospect.days is None
    assert "could detect nothing" in none.prospect.sentence
    trial.advance(hours=24)
    for start in range(0, 3000, 500):
        trial.ask(*(make_row(number) for number in range(start, start + 500)))
    found = terms()
    assert not found.prospect.nothing and "failures that rise from" in found.prospect.sentence
    assert found.prospect.requests_a_day == pytest.approx(3000)
    assert found.prospect.days == pytest.approx(2.0), "600 of the tenth of 3,000 a day"
    begun = trial.begin("better", strategy="canary", steps=(10, 100), requests=600)
    (started,) = trial.events("delivery.rollout_started")
    assert started.data["prospect"] == str(begun.prospect) == trial.shown().prospect != ""


def test_a_rollout_and_what_a_judge_says_are_told_in_the_reader_s_language(trial, make_row) -> None:
    begun = trial.begin("better", strategy="canary", steps=(50, 100), requests=500)
    trial.ask(*(make_row(number) for number in range(40)))
    trial.judged()
    with trial.house.ledger.read() as reader:
        now = trial.house.ledger.clock.now()
        es, en = (show(reader, newest_rollout(reader, DEV, "delay"), now, lang) for lang in ("es", "en"))
    assert es.sentence.startswith("delay@2 está en la etapa canario 50 % junto a delay@1: todavía le faltan")
    assert "pedidos más" in es.missing[0] and es.prospect == begun.prospect.text("es") != en.prospect
    assert "sin decidir (evidencia" in es.judgements[0].sentence and "undecided (evidence" in en.judgements[0].sentence
    assert es.points[-1].judgements[0].sentence.startswith("De la versión nueva fallaron")
    assert [each.name for each in es.steps] == ["canario 50 %", "todo el tráfico"]
    trial.client.post("/api/v1/projects/trips/services/delay/rollout/abort", {"reason": "mañana"}, {"environment": "dev"})
    with trial.house.ledger.read() as reader:
        ended = show(reader, newest_rollout(reader, DEV, "delay"), now, "es").sentence
    assert ended.startswith("Lo terminó") and ended.endswith(": mañana")


def test_a_promotion_that_begins_no_rollout_has_no_prospects(trial) -> None:
    from bucle.delivery import promote
    from bucle.identity import Grant, Principal

    with acting("ana", "ml_engineer"):
        ana = Principal("p", "ana", "person", (Grant("owner"),))
        done = promote(trial.delivery, DEV, "delay@2", ana)
    assert done.state == "done" and prospects(trial.delivery, done) == []
