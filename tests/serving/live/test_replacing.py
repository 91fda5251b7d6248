"""Replacing, rolling back, restarting, dying: the service goes on, or says that it does not."""

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bucle.errors import RemoteError
from bucle.ledger import EventFilter, Scope, acting
from bucle.serving import Batches, Services, rollback

DEV = Scope("air", "dev")


def test_a_replacement_refuses_nobody_and_a_rollback_returns_without_a_new_child(fresh, make_row) -> None:
    first = fresh.predict(make_row())
    old_child = fresh.services.pool.pid(fresh.services.current(DEV, "delay").candidate)
    answers: dict[int, set[float]] = {}
    failures: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answer = fresh.services.predict(DEV, "delay", [make_row()])
                answers.setdefault(answer.version, set()).add(answer.predictions[0].prediction)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    fresh.deploy(1)
    while 2 not in answers and not failures:
        time.sleep(0.01)
    with acting("dora", "devops_engineer"), fresh.house.ledger.write() as tx:
        rollback(tx, DEV, "delay")
    fresh.house.dispatcher.drain()
    third = fresh.predict(make_row())
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {version: len(found) for version, found in answers.items()} == {1: 1, 2: 1}
    assert answers[1] != answers[2]
    assert third["version"] == 1
    assert third["predictions"][0]["prediction"] == first["predictions"][0]["prediction"]
    assert fresh.services.pool.pid(fresh.services.current(DEV, "delay").candidate) == old_child


def test_a_dead_child_is_replaced_for_the_next_request(served, make_row) -> None:
    served.predict(make_row())
    candidate = served.services.current(DEV, "delay").candidate
    child = served.services.pool.pid(candidate)
    os.kill(child, signal.SIGKILL)
    answers = []
    for _ in range(2):
        try:
            answers.append(served.predict(make_row())["version"])
        except RemoteError as error:
            assert (error.code, error.status) == ("serving/model-unavailable", 503)
    assert answers[-1] == 1
    assert served.services.pool.pid(candidate) != child


def test_requests_that_wait_are_answered_together_and_each_gets_its_own(served, make_row) -> None:
    rows = [make_row(number, distance=100 + 50 * number) for number in range(24)]
    expected = {each["key"]: each["prediction"] for each in served.predict(*rows)["predictions"]}
    found: dict[str, float] = {}

    def ask(number: int) -> None:
        (one,) = served.services.predict(DEV, "delay", [rows[number]]).predictions
        found[str(one.key)] = one.prediction

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == pytest.approx(expected)


def test_a_full_prediction_log_answers_503_and_loses_nothing(served, make_row, monkeypatch: pytest.MonkeyPatch) -> None:
    served.services.flush()
    before = logged(served)
    monkeypatch.setattr(served.services.log._spool, "_limit", 1500)
    answered = 0
    with pytest.raises(RemoteError) as caught:
        while answered < 100:
            served.predict(make_row(answered))
            answered += 1
    assert (caught.value.code, caught.value.status) == ("serving/log-full", 503)
    served.services.flush()
    served.predict(make_row(200))
    served.services.flush()
    assert logged(served) == before + answered + 1


def logged(served) -> int:
    events = served.house.ledger.events(EventFilter(kinds=("serving.predictions_logged",)))
    return sum(event.data["count"] for event in events)


def test_after_a_restart_services_come_back_and_the_spool_is_shipped_but_a_damaged_package_is_not_served(
    fresh, make_row
) -> None:
    (prediction,) = fresh.predict(make_row())["predictions"]
    spool = fresh.house.home.folder("spool") / "predictions"
    assert list(spool.iterdir()), "not shipped yet"
    fresh.services.pool.close()
    again = Services(fresh.house.ledger, spool, fresh.services.pool._start)
    again.flush()
    with fresh.house.ledger.read() as reader:
        assert reader.row("SELECT id FROM prediction WHERE id = ?", (prediction["id"],)) is not None
    assert again.predict(DEV, "delay", [make_row()]).version == 1
    package: Path = fresh.house.artifacts.path(again.current(DEV, "delay").candidate.package)
    again.close()
    package.chmod(0o644)
    package.write_bytes(package.read_bytes()[:-1] + b" ")
    with pytest.raises(RemoteError) as caught:
        fresh.predict(make_row())
    assert caught.value.code == "artifacts/corrupt"


def test_a_file_is_logged_for_the_deployment_that_scored_it_though_another_answers_by_then(
    fresh, make_row, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored_by = fresh.services.current(DEV, "delay")
    deployed: list[str] = []
    answered = Batches._answered

    def replaced_meanwhile(self: Batches, *each: Any) -> Any:
        if not deployed:
            deployed.append(fresh.deploy(1).id)
        return answered(self, *each)

    monkeypatch.setattr(Batches, "_answered", replaced_meanwhile)
    (tmp_path / "rows.jsonl").write_text(json.dumps(make_row()) + "\n", "utf-8")
    found = fresh.client.post(fresh.client.path("services", "delay", "batch"), tmp_path / "rows.jsonl", {"format": "jsonl"})
    assert deployed
    assert (found["deployment"], found["version"]) == (scored_by.id, scored_by.candidate.version)
    shown = fresh.client.get(fresh.client.path("predictions", found["predictions"][0]["id"]))
    assert shown["deployment"] == scored_by.id


def test_a_file_is_not_scored_without_a_view_that_the_working_tree_has_lost(fresh, make_row, tmp_path: Path) -> None:
    code = fresh.root / "air.py"
    code.write_text(code.read_text("utf-8").replace("features=[weather_now, traffic]", "features=[weather_now]"), "utf-8")
    (tmp_path / "rows.jsonl").write_text(json.dumps(make_row()) + "\n", "utf-8")
    with pytest.raises(RemoteError) as caught:
        fresh.client.post(fresh.client.path("services", "delay", "batch"), tmp_path / "rows.jsonl", {"format": "jsonl"})
    assert caught.value.code == "serving/contract-broken"
    assert "traffic" in caught.value.text
