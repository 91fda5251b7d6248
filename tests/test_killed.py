"""The server is killed with -9 in the middle of training and of a replay; the next `bucle up` carries on to the same end."""

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.live import bucle, environment, up
from tests.shop import START, write_shop

from bucle.client import Client, ConnectionLost, Unreachable, connect
from bucle.errors import RemoteError
from bucle.ledger import Home, find_server, format_instant

pytestmark = pytest.mark.slow
BEGIN = START + timedelta(days=40)
HOURS = 12
EACH = 20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the project and a home whose clock stands at `BEGIN`."""
    write_shop(tmp_path / "shop")
    Home.open(tmp_path / "home", replay_from=BEGIN).close()
    return tmp_path


def command(place: Path, *words: object) -> Any:
    done = bucle(*words, "--json", "--home", place / "home", cwd=place / "shop")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def count(place: Path, query: str) -> Any:
    with closing(sqlite3.connect(f"file:{place / 'home' / 'ledger.db'}?mode=ro", uri=True)) as database:
        return database.execute(query).fetchone()[0]


def until(wanted: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def register(place: Path, url: str) -> None:
    with connect(url, project="shop") as client:
        client.post("/api/v1/projects", {"root": str(place / "shop")})


STEPS_DONE = "SELECT count(*) FROM step WHERE state = 'done'"


@pytest.mark.parametrize("steps", [0, 2, 4])
def test_training_over_http_goes_on_and_the_command_can_be_called_again(place: Path, steps: int) -> None:
    words = [sys.executable, "-m", "bucle", "run", "train", "--json", "--home", str(place / "home")]
    given = environment(BUCLE_PATIENCE="0")
    with up(place / "home") as server:
        register(place, server.url)
        asked = subprocess.Popen(words, cwd=place / "shop", stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=given)
        until(lambda: count(place, "SELECT count(*) FROM event WHERE kind = 'pipelines.run_started'"))
        until(lambda: count(place, STEPS_DONE) >= steps)
        server.kill()
        said = asked.communicate(timeout=60)[1].decode()
    lost = json.loads(said.strip().splitlines()[-1])
    assert asked.returncode == 1 and lost["code"] in ("client/connection-lost", "client/unreachable"), lost
    assert "bucle up" in lost["next"]
    with up(place / "home"):
        found = command(place, "run", "train")
        assert found["status"] == "done"
        assert count(place, "SELECT count(*) FROM event WHERE kind = 'pipelines.run_started'") == 1
        (model,) = command(place, "models")
        assert model["versions"] == 1
        again = command(place, "run", "train")
        assert again["id"] != found["id"], "a command that heard its answer begins anew"


def carry_on(place: Path, act: Callable[[Client], Any]) -> Any:
    """Do it, and after a loss again at the next server."""
    while True:
        address = find_server(place / "home")
        try:
            if address is not None:
                with connect(address.url, project="shop", patience=0) as client:
                    return act(client)
        except (Unreachable, ConnectionLost):
            pass
        except RemoteError as error:
            if error.code not in ("server/clock-busy", "server/shutting-down", "server/request-in-progress"):
                raise
        time.sleep(0.05)


def write(place: Path, path: str, body: object, key: str) -> None:
    carry_on(place, lambda client: client.post(path, body, key=key))


def arrived(place: Path, to: str) -> bool:
    state = carry_on(place, lambda client: client.get("/api/v1/clock"))
    return bool(state["until"] is None and state["now"] == to)


def replay(place: Path, said: Callable[[str, int], None]) -> None:
    """Hour by hour: the clock moves, visits of the hour are predicted, those of the hour before get their labels."""
    service = "/api/v1/projects/shop/services/buys"
    for hour in range(HOURS):
        now = BEGIN + timedelta(hours=hour + 1)
        said("clock", hour)
        write(place, "/api/v1/clock/advance", {"to": format_instant(now)}, f"clock-{hour}")
        until(partial(arrived, place, format_instant(now)))
        rows = [{"visit": f"{hour}-{n}", "city": "Rome", "pages": n, "sure": True} for n in range(EACH)]
        said("predict", hour)
        write(place, f"{service}/predict", {"rows": rows}, f"predict-{hour}")
        if hour:
            labels = [{"key": f"{hour - 1}-{n}", "value": n > 10} for n in range(EACH)]
            said("labels", hour)
            write(place, f"{service}/labels", {"labels": labels}, f"labels-{hour}")


@pytest.mark.parametrize("moment", ["clock", "predict", "labels"])
def test_a_replay_comes_to_the_same_end(place: Path, moment: str) -> None:
    """Killed three times while a request of the kind is on its way, at different distances from its beginning."""
    reached, killed = {hour: threading.Event() for hour in range(HOURS)}, {2: 0.0, 5: 0.004, 8: 0.02}

    def said(what: str, hour: int) -> None:
        if what == moment:
            reached[hour].set()

    worker: threading.Thread | None = None
    failures: list[BaseException] = []

    def work() -> None:
        try:
            replay(place, said)
        except BaseException as error:
            failures.append(error)

    for hour, pause in killed.items():
        with up(place / "home") as server:
            if worker is None:
                register(place, server.url)
                command(place, "run", "train")
                command(place, "promote", "buys@1", "dev")
                worker = threading.Thread(target=work)
                worker.start()
            assert reached[hour].wait(60), failures
            time.sleep(pause)
            server.kill()
    assert worker is not None
    with up(place / "home") as server:
        worker.join(120)
        assert not worker.is_alive() and not failures, failures
        command(place, "monitor", "buys")
        assert command(place, "clock")["now"] == format_instant(BEGIN + timedelta(hours=HOURS))
        with connect(server.url, project="shop") as client:
            client.get(client.path("services", "buys", "predictions"))
    assert count(place, "SELECT count(*) FROM prediction") == HOURS * EACH
    assert count(place, "SELECT count(DISTINCT key) FROM prediction") == HOURS * EACH
    assert count(place, "SELECT count(*) FROM label") == (HOURS - 1) * EACH
    assert count(place, "SELECT count(*) FROM event WHERE kind = 'ledger.ticked'") == HOURS
    assert count(place, "SELECT count(*) FROM model_version") == 1
