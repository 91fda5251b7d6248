"""A write whose server is killed with -9 just before or after its effect is committed ends well at the next server, once."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.live import SOURCE, bucle, environment, up
from tests.shop import START, write_shop

from bucle.client import connect
from bucle.ledger import EventFilter, Home, format_instant

pytestmark = pytest.mark.slow
BEGIN = START + timedelta(days=40)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project under git and a home with two versions of its model, the first of which answers."""
    place = tmp_path_factory.mktemp("answers")
    write_shop(place / "shop")
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "A shop"]):
        who = ["-c", "user.name=ana", "-c", "user.email=ana@example.org"]
        subprocess.run(["git", *who, *words], cwd=place / "shop", check=True, timeout=120)
    Home.open(place / "home", replay_from=BEGIN).close()
    with up(place / "home") as server:
        with connect(server.url, project="shop") as client:
            client.post("/api/v1/projects", {"root": str(place / "shop")})
        for words in (["run", "train"], ["run", "train", "--seed", "1"], ["promote", "buys@1", "dev"]):
            done = bucle(*words, "--home", place / "home", cwd=place / "shop")
            assert done.returncode == 0, done.stderr
    return place


@contextmanager
def dying(home: Path, kind: str, moment: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a `bucle up` that is killed when it writes an event of the kind."""
    command = [sys.executable, "-m", "tests.dying", kind, moment, "up", "--json", "--port", "0", "--home", str(home)]
    paths = os.pathsep.join([str(SOURCE), str(SOURCE.parent)])
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said, text=True, env=environment(PYTHONPATH=paths), cwd=SOURCE.parent
        )
        try:
            assert process.stdout is not None and process.stdout.readline(), said.seek(0) or said.read()
            yield process
        finally:
            process.kill()
            process.wait(timeout=60)
            process.stdout.close()


def survive(place: Path, kind: str, moment: str, *words: str) -> Any:
    """Call a command whose server dies on it, start the next server, and return what the command prints at last."""
    command = [sys.executable, "-m", "bucle", *words, "--json", "--home", str(place / "home")]
    given = environment(BUCLE_PATIENCE="60")
    with dying(place / "home", kind, moment) as server:
        asked = subprocess.Popen(
            command, cwd=place / "shop", stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=given, text=True
        )
        until(lambda: server.poll() is not None or asked.poll() is not None)
        assert (server.poll(), asked.poll()) == (-9, None), asked.communicate(timeout=60)
    with up(place / "home"):
        out, err = asked.communicate(timeout=120)
    assert asked.returncode == 0, err
    return json.loads(out)


def until(wanted: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def events(place: Path, kind: str) -> list[str]:
    home = Home.open(place / "home")
    try:
        return [event.subject for event in home.ledger.events(EventFilter(kinds=(kind,)))]
    finally:
        home.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_token_is_made_once_and_its_secret_is_heard(place: Path, moment: str) -> None:
    before = events(place, "identity.token_created")
    made = survive(place, "identity.token_created", moment, "token", "create", f"ana-{moment}", "--role", "viewer")
    assert events(place, "identity.token_created") == [*before, made["id"]]
    with connect(home=place / "home", token=made["token"]) as client:
        assert client.get("/api/v1/whoami")["name"] == f"ana-{moment}"


def test_a_promotion_and_a_rollback_are_carried_out_once(place: Path) -> None:
    before = len(events(place, "delivery.promoted"))
    promoted = survive(place, "delivery.promoted", "after", "promote", "buys@2", "dev")
    assert promoted["state"] == "done"
    assert len(events(place, "delivery.promoted")) == before + 1
    left = survive(place, "delivery.rolled_back", "after", "rollback", "buys", "--environment", "dev")
    assert (left["left"], left["restored"]) == ("buys@2", "buys@1")


def test_a_work_item_is_opened_and_closed_once(place: Path) -> None:
    before = len(events(place, "work.opened"))
    opened = survive(place, "work.opened", "before", "work", "open", "bug", "Look at it")
    closed = survive(place, "work.closed", "after", "work", "close", opened["id"], "done")
    assert closed["state"] == "done" and closed["id"] == opened["id"]
    assert len(events(place, "work.opened")) == before + 1


def test_a_run_is_begun_once_and_followed_to_its_end(place: Path) -> None:
    before = events(place, "pipelines.run_started")
    found = survive(place, "pipelines.run_started", "after", "run", "train", "--seed", "2")
    assert found["status"] == "done"
    assert events(place, "pipelines.run_started") == [*before, found["id"]]


def test_a_run_whose_server_died_after_it_read_the_data_begins_after_all(place: Path) -> None:
    code = place / "shop" / "shop.py"
    code.write_text(code.read_text().replace("return raw\n", "return raw.filter(pl.col('pages') >= 0)\n"))
    before, read = events(place, "pipelines.run_started"), events(place, "data.version_created")
    found = survive(place, "data.version_created", "after", "run", "train", "--seed", "3")
    assert found["status"] == "done"
    assert events(place, "pipelines.run_started") == [*before, found["id"]]
    assert len(events(place, "data.version_created")) == len(read) + 1


def test_checks_are_asked_for_once(place: Path) -> None:
    before, found = events(place, "delivery.checks_requested"), []
    with dying(place / "home", "delivery.checks_requested", "after") as server:
        client = connect(home=place / "home", project="shop", patience=60)
        body = {"source": str(place / "shop")}
        thread = threading.Thread(target=lambda: found.append(client.post(client.path("checks"), body)))
        thread.start()
        assert server.wait(60) == -9
    with up(place / "home"), client:
        thread.join(60)
    assert events(place, "delivery.checks_requested") == [*before, found[0]["id"]]


def test_the_clock_is_sent_on_its_way_once(place: Path) -> None:
    before = len(events(place, "ledger.clock_advanced"))
    state = survive(place, "ledger.clock_advanced", "after", "clock", "advance", "1h")
    assert len(events(place, "ledger.clock_advanced")) == before + 1
    assert state["now"] == format_instant(BEGIN + timedelta(hours=1))


def test_labels_are_recorded_once(place: Path) -> None:
    with connect(home=place / "home", project="shop") as client:
        client.predict("buys", [{"visit": "a", "city": "Rome", "pages": 3, "sure": True}])
    (place / "labels.jsonl").write_text(json.dumps({"key": "a", "value": True}) + "\n")
    told = survive(place, "serving.labels_recorded", "after", "labels", "send", str(place / "labels.jsonl"))
    assert told["recorded"] == 1 and told["repeated"] == 0
