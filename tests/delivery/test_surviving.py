"""What was pushed is checked, whoever dies: the one who pushed, the connection, or the server (kill -9)."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery.developing import Server, commit_all, git, push, write_project

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


def test_checks_go_on_when_the_one_who_pushed_goes_away(own: Server, tmp_path: Path) -> None:
    flag = tmp_path / "slow"
    flag.touch()
    sha = commit_all(write_project(tmp_path / "work", "gone", {"tests/test_model.py": SLOW.format(flag=str(flag))}))
    pushing = begin_push(own, tmp_path / "work", "gone")
    wait_for(own, "delivery.check_finished")
    pushing.kill()
    pushing.wait()
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
    pushing.wait()
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
