"""What was pushed is checked, whoever dies: the one who pushed, the connection, or the server (kill -9)."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery.developing import Server, commit_all, git, push, write_project

from bucle.delivery import Bench, Check, Checker, Delivery, Verdict, get_check_run
from bucle.ledger import EventFilter
from bucle.pipelines import Runs
from bucle.server import open_house
from bucle.server.git.backend import _end

SLOW = """\
import pathlib
import time

def test_fit():
    while pathlib.Path({flag!r}).exists():
        time.sleep(0.05)
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server of its own, to be killed."""
    server = Server(tmp_path / "home")
    server.start()
    yield server
    server.stop()


def begin_push(server: Server, folder: Path, name: str) -> "subprocess.Popen[bytes]":
    command = ["git", "push", f"{server.url}/git/{name}.git", "HEAD:main"]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def wait_for(server: Server, kind: str) -> None:
    deadline = time.monotonic() + 60
    while not server.events(kind):
        assert time.monotonic() < deadline, kind
        time.sleep(0.05)


def test_what_was_asked_for_since_the_start_is_not_taken_for_something_left(tmp_path: Path) -> None:
    """A push may arrive between the first answer of a server and its looking for what an earlier one left."""
    sha = commit_all(write_project(tmp_path / "tree", "early"))
    begun, go = threading.Event(), threading.Event()

    def wait(bench: Bench) -> Verdict:
        begun.set()
        assert go.wait(60)
        return Verdict("passed", "fine")

    house = open_house(tmp_path / "home", "call")
    delivery = house.part(Delivery)
    delivery.checker = Checker(house.home, house.artifacts, house.runners, house.part(Runs), (Check("slow", "", "unit", wait),))
    try:
        id = delivery.check("early", sha, "check", tmp_path / "tree")
        assert begun.wait(60)
        assert delivery.checker.resume() == []
        go.set()
        delivery.checker.wait(id)
        delivery.checker.begin(id)
        assert delivery.checker.activity() is None
        assert house.ledger.events(EventFilter(kinds=("delivery.checks_interrupted",))) == []
        assert get_check_run(house.ledger, "early", id).attempt == 1
    finally:
        go.set()
        delivery.close()
        house.close()


def test_git_that_has_ended_by_itself_is_not_killed_again() -> None:
    async def end() -> int | None:
        process = await asyncio.create_subprocess_exec("true")
        await process.wait()
        _end(process)
        return process.returncode

    assert asyncio.run(end()) == 0


def test_checks_go_on_when_the_one_who_pushed_goes_away(own: Server, tmp_path: Path) -> None:
    flag = tmp_path / "slow"
    flag.touch()
    sha = commit_all(write_project(tmp_path / "work", "gone", {"tests/test_model.py": SLOW.format(flag=str(flag))}))
    pushing = begin_push(own, tmp_path / "work", "gone")
    wait_for(own, "delivery.check_finished")
    pushing.kill()
    pushing.wait(timeout=60)
    flag.unlink()
    (run,) = own.until(f"/api/v1/projects/gone/checks?commit={sha}", lambda runs: runs and runs[0]["state"] == "passed")
    assert run["attempt"] == 1 and run["release"]


def test_a_server_killed_during_checks_does_them_again_and_releases_once(own: Server, tmp_path: Path) -> None:
    flag = tmp_path / "slow"
    flag.touch()
    sha = commit_all(write_project(tmp_path / "work", "killed", {"tests/test_model.py": SLOW.format(flag=str(flag))}))
    pushing = begin_push(own, tmp_path / "work", "killed")
    wait_for(own, "delivery.check_finished")
    own.kill()
    pushing.wait(timeout=60)
    flag.unlink()
    own.start()
    (run,) = own.until(f"/api/v1/projects/killed/checks?commit={sha}", lambda runs: runs and runs[0]["state"] == "passed")
    assert run["attempt"] == 2
    (interrupted,) = own.events("delivery.checks_interrupted")
    assert interrupted["data"]["attempt"] == 1
    assert len(own.events("delivery.released")) == 1
    assert len({result["name"] for result in run["results"]}) == len(run["results"])
    started = own.events("delivery.checks_started")
    assert [event["actor"] for event in started] == [started[0]["actor"]] * 2


def test_a_commit_of_which_nobody_heard_is_found_at_the_next_start(own: Server, tmp_path: Path) -> None:
    """As when the server died between git's taking the push and hearing of it."""
    commit_all(write_project(tmp_path / "work", "unheard"))
    push(own, tmp_path / "work", "unheard")
    own.kill()
    (tmp_path / "work" / "unheard.py").write_text('"""Changed."""\n')
    sha = commit_all(tmp_path / "work")
    git("push", str(own.home / "git" / "unheard.git"), "HEAD:main", at=tmp_path / "work")
    own.start()
    (run,) = own.until(f"/api/v1/projects/unheard/checks?commit={sha}", lambda runs: runs and runs[0]["state"] == "passed")
    assert run["wanted"] == "release" and run["requester"] == "system"
