"""A rollout outlives its process: after kill -9 the same keys see the same version, and the evidence is what was answered."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live import Server, bucle, up


@pytest.fixture
def begun(trial) -> Iterator[Callable[..., Path]]:
    def begin(name: str, **policy: Any) -> Path:
        trial.begin(name, **policy)
        trial.client.close()
        return trial.root.parent / "home"

    return begin


def send(server: Server, path: str, body: object = None, key: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    data = json.dumps(body).encode() if body is not None else None
    url = f"{server.url}/api/v1/projects/trips/services/delay/{path}?environment=dev"
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.loads(answer.read())


def arms(server: Server, rows: list[dict[str, Any]], key: str | None = None) -> dict[str, str]:
    return {each["key"]: each["arm"] for each in send(server, "predict", {"rows": rows}, key)["predictions"]}


def until_both_answer(server: Server, rows: list[dict[str, Any]]) -> dict[str, str]:
    """Ask until the challenger's process is there: while it starts, the champion answers its keys."""
    deadline = time.monotonic() + 60
    while "challenger" not in (found := arms(server, rows)).values() and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_split_and_evidence_are_those_of_before(begun, make_row) -> None:
    home = begun("better", strategy="canary", steps=(30, 100), requests=10_000)
    rows = [make_row(number) for number in range(50)]
    with up(home) as server:
        before = until_both_answer(server, rows)
        seen = send(server, "rollout")
        for number in range(50, 110):
            send(server, "predict", {"rows": [make_row(number)]})
        server.kill()
    with up(home) as server:
        after = send(server, "rollout")
        told = bucle("rollout", "delay", "--environment", "dev", "--home", home, cwd=home.parent / "trips")
        assert "delay@2 for delay in dev: running" in told.stdout and "> canary 30 %" in told.stdout, told.stderr
        assert after["state"] == "running" and after["id"] == seen["id"]
        grown = sum(after[arm]["requests"] - seen[arm]["requests"] for arm in ("champion", "challenger"))
        assert grown == 60, "every answer is evidence, and once"
        assert until_both_answer(server, rows) == before


def test_failures_of_before_count_towards_the_rollback_after(begun, make_row) -> None:
    home = begun("gusty", strategy="canary", steps=(50, 100), requests=10_000)
    with up(home) as server:
        until_both_answer(server, [make_row(number) for number in range(20)])
        failed, number = 0, 100
        while failed < 3:
            assert send(server, "predict", {"rows": [make_row(number, gust=None)]})["version"] == 1
            failed, number = send(server, "rollout")["challenger"]["failed"], number + 1
        server.kill()
    with up(home) as server:
        assert send(server, "rollout")["challenger"]["failed"] == failed
        deadline = time.monotonic() + 60
        while send(server, "rollout")["state"] == "running" and time.monotonic() < deadline:
            assert send(server, "predict", {"rows": [make_row(number, gust=None), make_row(number + 1)]})["predictions"]
            number += 2
        ended = send(server, "rollout")
        assert (ended["state"], ended["cause"]) == ("rolled back", "errors")


def test_a_request_that_comes_again_is_answered_by_the_versions_of_the_first_time(begun, make_row) -> None:
    home = begun("better", strategy="canary", steps=(50, 100), requests=10_000)
    rows = [make_row(number) for number in range(30)]
    with up(home) as server:
        until_both_answer(server, rows)
        first = send(server, "predict", {"rows": rows}, key="once")
        server.kill()
    with up(home) as server:
        again = send(server, "predict", {"rows": rows}, key="once")
        named = ("id", "key", "prediction", "label")
        assert [[each[name] for name in named] for each in again["predictions"]] == [
            [each[name] for name in named] for each in first["predictions"]
        ]
        versions = [[each.get("version", answer["version"]) for each in answer["predictions"]] for answer in (first, again)]
        assert versions[0] == versions[1] and set(versions[0]) == {1, 2}
