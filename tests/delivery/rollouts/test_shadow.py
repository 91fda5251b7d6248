"""In shadow the challenger scores what was answered, beside the requests: nobody gets its answers, or waits for them."""

from typing import Any

import pytest
from tests.delivery.rollouts.conftest import DEV

from bucle.serving import record_labels
from bucle.serving.labels import LabelRow


def late(number: int) -> bool:
    return number * 37 % 100 > 50


def label(trial: Any, numbers: range) -> None:
    trial.services.flush()
    with trial.house.ledger.write() as tx:
        record_labels(tx, DEV, "delay", [LabelRow(late(number), key=f"t{number}") for number in numbers])


@pytest.mark.parametrize("name", ["better", "gusty", "strict", "wrong"])
def test_the_answers_are_those_of_the_champion_whatever_the_challenger_does(trial, make_row, name: str) -> None:
    rows = [make_row(number, **({"gust": None, "carrier": None} if number % 4 == 0 else {})) for number in range(40)]
    before = {each["key"]: each["prediction"] for each in trial.ask(*rows)}
    trial.begin(name, strategy="shadow")
    answered = trial.ask(*rows)
    assert {each["key"]: each["prediction"] for each in answered} == before
    assert {each["version"] for each in answered} == {1} and not any("arm" in each for each in answered)
    shown = trial.judged()
    assert (shown.champion.requests, shown.challenger.requests) == (40, 40)
    failed = {"better": 0, "wrong": 10, "gusty": 10, "strict": 10}[name]
    assert shown.challenger.failed == failed and shown.agreement.scored == 40 - failed
    logged = trial.client.get(trial.client.path("services", "delay", "predictions"))
    assert {each["deployment"] for each in logged} == {shown.champion.deployment}, "shadow answers are in no log of answers"


def test_an_outright_failure_in_shadow_ends_the_rollout_before_anybody_was_answered_by_it(trial, make_row) -> None:
    trial.begin("gusty", strategy="shadow, canary")
    for number in range(0, 400, 40):
        if trial.judged().state != "running":
            break
        trial.ask(*(make_row(each, gust=None) for each in range(number, number + 40)))
    shown = trial.judged()
    assert (shown.state, shown.cause, shown.steps[1].state) == ("rolled back", "errors", "never")


def test_losses_are_compared_pair_by_pair_once_every_label_could_have_come(trial, make_row) -> None:
    trial.begin("wrong", strategy="shadow", requests=1000, labels=1000)
    rounds = 0
    while trial.shown().state == "running" and rounds < 6:
        numbers = range(rounds * 50, rounds * 50 + 50)
        trial.ask(*(make_row(number) for number in numbers))
        trial.judged()
        label(trial, numbers)
        shown = trial.judged()
        if rounds == 0:
            assert shown.labelled == 0, "a label came, but others could still come"
            assert shown.agreement.differing > 25
        trial.advance(hours=3)
        rounds += 1
    shown = trial.judged()
    assert (shown.state, shown.cause) == ("rolled back", "loss"), shown.judgements
    assert shown.labelled == shown.agreement.counted <= 50 * rounds, "each pair counted once"


def test_a_good_challenger_moves_on_when_it_has_its_requests_and_its_labels(trial, make_row) -> None:
    trial.begin("better", strategy="shadow, canary", steps=(50, 100), requests=30, labels=30)
    trial.ask(*(make_row(number) for number in range(40)))
    shown = trial.judged()
    assert shown.missing == ["30 more labelled rows"] and shown.steps[0].state == "current"
    label(trial, range(40))
    trial.advance(hours=3)
    shown = trial.judged()
    assert [step.state for step in shown.steps] == ["done", "current", "waiting"]
    assert shown.step_requests == 0 and shown.labelled == 40
    assert len(shown.points) >= 2 and shown.points[-1].labelled == 40


def test_what_waits_too_long_for_its_shadow_is_dropped_and_not_waited_for(trial, make_row, monkeypatch) -> None:
    trial.begin("better", strategy="shadow")
    monkeypatch.setattr(trial.services.arms._tasks, "maxsize", 1)
    monkeypatch.setattr(trial.services.arms, "_thread", object())
    for number in range(5):
        assert trial.ask(make_row(number))[0]["version"] == 1
    assert trial.services.arms.waiting == 1
    monkeypatch.undo()
    trial.services.arms._tasks.get_nowait()
    trial.services.arms._busy = 0
