"""A share of the keys is the challenger's: the same ones throughout a step; who asks is answered, whatever it does."""

import dataclasses

import msgspec
import pytest

from bucle.errors import RemoteError
from bucle.features import FrameColumn
from bucle.ledger import Scope
from bucle.serving import standby_deployment

DEV = Scope("trips", "dev")
GUST = FrameColumn("gust_now", "float")


def test_the_same_key_sees_one_version_and_keeps_it_when_the_share_grows(trial, make_row) -> None:
    trial.begin("better", strategy="canary", steps=(20, 50, 100), requests=30)
    first = {each["key"]: each for each in trial.ask(*(make_row(number) for number in range(100)))}
    challengers = {key for key, each in first.items() if each["arm"] == "challenger"}
    assert 5 <= len(challengers) <= 40, "about a fifth"
    single = trial.ask(make_row(int(next(iter(challengers))[1:])))[0]
    assert (single["arm"], single["model"], single["version"]) == ("challenger", "delay", 2)
    while trial.judged().steps[1].state == "waiting":
        trial.ask(*(make_row(number) for number in range(100)))
    wider = {each["key"] for each in trial.ask(*(make_row(number) for number in range(100))) if each["arm"] == "challenger"}
    assert challengers < wider and 30 <= len(wider) <= 70


def test_a_row_of_the_challenger_names_its_own_version_in_a_mixed_answer(trial, make_row) -> None:
    begun = trial.begin("better", strategy="canary", steps=(50, 100), requests=1000)
    answer = trial.client.post(
        trial.client.path("services", "delay", "predict"), {"rows": [make_row(number) for number in range(60)]}
    )
    by_arm = {arm: [each for each in answer["predictions"] if each["arm"] == arm] for arm in ("champion", "challenger")}
    assert by_arm["champion"] and by_arm["challenger"]
    named = {each.get("deployment", answer["deployment"]) for each in by_arm["challenger"]}
    assert named == {begun.challenger}
    assert {each.get("model_version", answer["model_version"]) for each in by_arm["challenger"]} == {begun.model_version}
    logged = {each["id"]: each for each in trial.client.get(trial.client.path("services", "delay", "predictions"))}
    assert {logged[each["id"]]["deployment"] for each in by_arm["challenger"]} == {begun.challenger}
    assert {logged[each["id"]]["deployment"] for each in by_arm["champion"]} == {begun.champion}


@pytest.mark.parametrize(
    ("name", "bad", "said"), [("gusty", {"gust": None}, "not-a-number"), ("strict", {"carrier": None}, "model-failed")]
)
def test_a_challenger_that_fails_on_what_only_traffic_has_is_rolled_back_and_every_caller_is_answered(
    trial, make_row, name: str, bad: dict[str, None], said: str
) -> None:
    trial.begin(name, strategy="canary", steps=(20, 100), requests=600)
    champion = trial.shown().champion.name
    asked = 0
    while trial.shown().state == "running" and asked < 600:
        answered = trial.ask(make_row(asked, **(bad if asked % 3 == 0 else {})))
        assert len(answered) == 1 and answered[0]["prediction"] is not None
        asked += 1
        trial.judged()
    shown = trial.shown()
    assert (shown.state, shown.cause) == ("rolled back", "errors"), f"after {asked} requests: {shown.judgements}"
    assert said in next(iter(shown.failures))
    assert shown.challenger.failed > 0 and shown.champion.failed == 0
    assert {each["version"] for each in trial.ask(make_row(1), make_row(2))} == {int(champion.partition("@")[2])}
    (gone,) = trial.events("delivery.rollout_rolled_back")
    kinds = {event.kind for event in trial.house.ledger.why(str(gone.seq))}
    assert {"delivery.rollout_started", "delivery.rollout_judged", "serving.predictions_logged"} <= kinds
    (alert,) = trial.events("monitoring.alert_fired")
    assert alert.data["alert_kind"] == "rollout" and gone.seq in alert.caused_by
    (item,) = trial.events("work.opened")
    assert alert.seq in item.caused_by


def test_a_rollout_whose_steps_are_all_good_ends_with_all_traffic_and_the_one_before_stands_by(trial, make_row) -> None:
    begun = trial.begin("better", strategy="canary", steps=(25, 50, 100), requests=30)
    old = trial.services.pool.pid(trial.services.current(DEV, "delay").candidate)
    asked = 0
    while trial.judged().state == "running" and asked < 20:
        trial.ask(*(make_row(asked * 50 + number) for number in range(50)))
        asked += 1
    shown = trial.shown()
    assert shown.state == "completed", shown.sentence
    assert [step.state for step in shown.steps] == ["done"] * 3
    assert trial.ask(make_row(1))[0]["version"] == 2
    (deployed,) = [each for each in trial.events("serving.deployed") if each.data["strategy"] == "rollout"]
    assert deployed.data["replaced"] == begun.champion
    assert "delivery.rollout_judged" in {event.kind for event in trial.house.ledger.why(str(deployed.seq))}
    view = trial.client.get(trial.client.path("services", "delay"))
    assert view["standby"] == begun.champion
    with trial.house.ledger.read() as reader:
        standby = standby_deployment(reader, DEV, "delay")
    assert standby is not None and trial.services.pool.pid(standby.candidate) == old


def test_a_challenger_that_needs_a_field_which_nobody_sends_fails_and_one_that_gets_it_answers(trial, make_row) -> None:
    candidate = trial.candidate("better")
    contract = msgspec.structs.replace(candidate.contract, inputs=(*candidate.contract.inputs[:2], GUST))
    trial.candidate = lambda name: dataclasses.replace(candidate, contract=contract)
    trial.begin("better", strategy="canary", steps=(50, 100), requests=1000)
    assert {each["arm"] for each in trial.ask(*(make_row(number) for number in range(6)))} == {"champion"}
    told = trial.judged()
    assert told.challenger.failed == told.challenger.requests > 0
    assert "serving/missing-input" in next(iter(told.failures))
    both = [make_row(number) | {"gust_now": 5.0} for number in range(40)]
    assert told.state == "running", "so few failures prove nothing yet"
    assert {each["arm"] for each in trial.ask(*both)} == {"champion", "challenger"}
    with pytest.raises(RemoteError) as caught:
        trial.ask(make_row(1) | {"strange": 1.0})
    assert caught.value.code == "serving/extra-input", "a field that neither takes"
