"""The people of the demo when their server is killed: they wait for the next one, and do not take its home."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.live import Server, bucle, up

from bucle.demo.errors import ServerGone
from bucle.demo.stage import Stage
from bucle.ledger import find_server


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """The stage of a project whose server was killed after Ana got her token."""
    root = tmp_path / "shop"
    assert bucle("init", root, "--template", "flights", "--name", "flights").returncode == 0
    found = Stage(root, root / ".bucle", lambda line: None)
    with up(found.home) as server:
        found.tokens["ana"] = found.command("token", "create", "ana", "--role", "data_scientist")["token"]
        server.kill()
    yield found
    for client in found.clients.values():
        client.close()


@contextmanager
def soon(stage: Stage, seconds: float = 1.0) -> Iterator[None]:
    """A server of the stage's home that somebody starts while the block runs."""
    with ExitStack() as stack:
        started: list[Server] = []
        starting = threading.Timer(seconds, lambda: started.append(stack.enter_context(up(stage.home))))
        starting.start()
        try:
            yield
        finally:
            starting.join()
        assert started


def test_whoever_calls_without_a_server_waits_for_the_next_one(stage: Stage) -> None:
    with soon(stage):
        assert stage.call("ana", lambda client: client.get("/health"))["pid"]


def test_a_command_without_a_server_waits_and_leaves_the_home_to_it(stage: Stage) -> None:
    with soon(stage):
        assert stage.command("runs", actor="ana") == []
        assert find_server(stage.home) is not None


def test_a_script_without_a_server_waits_and_leaves_the_home_to_it(stage: Stage) -> None:
    script = stage.directory / "ask.py"
    script.write_text(
        "import bucle\n\nwith bucle.connect() as client:\n    print('run_', client.in_process, sep='')\n", "utf-8"
    )
    with soon(stage):
        assert stage.python(str(script), actor="ana") == "run_False"


def test_when_nobody_starts_a_server_the_demo_ends_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bucle.demo.stage._PATIENCE", 0.5)
    said: list[str] = []
    stage.say = said.append
    with pytest.raises(ServerGone) as gone:
        stage.call("ana", lambda client: client.get("/health"))
    assert gone.value.code == "demo/server-gone"
    with pytest.raises(ServerGone):
        stage.push("ana")
    stage.leave()  # what the demo does last, whatever happened: there is nothing to stop and nothing to wait for
    assert len(said) == 2, "each waited once, and who left did not"
