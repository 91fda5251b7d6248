"""Scripts track themselves over the client, with a server and without, and the command line shows what they recorded."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.live import up

import bucle
from bucle.cli import root
from bucle.cli.session import Session
from bucle.client import Client
from bucle.errors import BucleError, RemoteError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    with bucle.connect(home=home, project="flights") as client:
        yield client


def refused(error: pytest.ExceptionInfo[BaseException]) -> str:
    assert isinstance(error.value, BucleError | RemoteError)
    return error.value.code


def test_a_script_is_on_record_with_its_children(client: Client, tmp_path: Path) -> None:
    (tmp_path / "plot.svg").write_text("<svg/>", "utf-8")
    with bucle.start_run("outer", experiment="rates", params={"rate": 0.1}, client=client) as outer:
        bucle.log_metric("loss", float("nan"), 1)
        bucle.log_metric("loss", 0.5, 2)
        bucle.log_artifact("plots/loss.svg", tmp_path / "plot.svg")
        with bucle.start_run("inner") as inner:
            bucle.log_param("depth", 3)
    shown = client.get(client.path("runs", outer.id))
    assert (shown["record"]["params"], shown["record"]["children"]) == ({"rate": 0.1}, [inner.id])
    points = client.get(client.path("runs", outer.id, "metrics", "loss"))
    assert [point["value"] for point in points] == ["NaN", 0.5]
    listed = client.get(client.path("runs"), {"experiment": "rates", "status": "succeeded", "limit": 5})
    assert [(row["run"]["id"], row["metrics"]) for row in listed] == [(outer.id, {"loss": 0.5})]
    assert shown["record"]["artifacts"][0]["size"] == 6


def test_a_script_in_a_project_records_its_commit(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bucle.project import run_git

    (tmp_path / "bucle.toml").write_text('[project]\nname = "flights"\ndefinitions = "flights"\n', "utf-8")
    (tmp_path / "flights.py").write_text('"""Flights."""\n', "utf-8")
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "add", "bucle.toml", "flights.py")
    run_git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    monkeypatch.chdir(tmp_path)
    with bucle.start_run("try", client=client) as run:
        pass
    shown = client.get(client.path("runs", run.id))["record"]["run"]
    assert shown["commit"] == run_git(tmp_path, "rev-parse", "HEAD").strip() and shown["dirty"]


def test_an_artifact_that_was_not_sent_for_the_run_cannot_be_read_through_it(client: Client) -> None:
    with bucle.start_run("theirs", client=client) as theirs:
        secret = bucle.log_artifact("secret", b"secret")
    with bucle.start_run("mine", client=client) as mine, pytest.raises(RemoteError) as error:
        client.post(client.path("runs", mine.id, "log"), {"artifacts": [{"name": "x", "id": secret}]})
    assert refused(error) == "tracking/artifact-not-sent"
    assert client.get(client.path("runs", theirs.id))["record"]["artifacts"][0]["id"] == secret


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("get", ("runs", "run_nothing"), None, "tracking/unknown-run"),
        ("post", ("runs", "run_nothing", "log"), {}, "tracking/unknown-run"),
        ("post", ("runs",), {"name": ""}, "tracking/bad-name"),
        ("post", ("runs",), {"name": "x", "purpose": "fun"}, "server/bad-parameter"),
        ("post", ("runs",), {"name": "x", "colour": "red"}, "server/bad-body"),
        ("post", ("runs",), {"name": "x", "params": {"a": "y" * 20_000}}, "tracking/too-much"),
        ("post", ("runs",), {"name": "x", "parent": "run_nothing"}, "tracking/unknown-run"),
    ],
)
def test_bad_input_gives_its_code(
    client: Client, method: str, path: tuple[str, ...], body: dict[str, object] | None, code: str
) -> None:
    with pytest.raises((RemoteError, BucleError)) as error:
        if method == "get":
            client.get(client.path(*path))
        else:
            client.post(client.path(*path), body)
    assert refused(error) == code


@pytest.mark.parametrize(
    "point", [{"name": "l", "value": "x"}, {"name": "l", "value": 1, "step": 2**63}, {"name": "", "value": 1}]
)
def test_a_bad_point_is_refused_and_nothing_of_its_batch_is_kept(client: Client, point: dict[str, object]) -> None:
    with bucle.start_run("try", client=client) as run, pytest.raises((RemoteError, BucleError)):
        client.post(client.path("runs", run.id, "log"), {"params": {"a": 1}, "metrics": [point], "batch": 1})
    assert client.get(client.path("runs", run.id))["record"]["params"] == {}


def test_only_a_script_ends_by_its_own_word(client: Client) -> None:
    with bucle.start_run("try", client=client) as run:
        with pytest.raises((RemoteError, BucleError)) as error:
            client.post(client.path("runs", run.id, "finish"), {"status": "fine"})
        assert refused(error) == "server/bad-parameter"
    with pytest.raises((RemoteError, BucleError)) as error:
        client.post(client.path("runs", run.id, "finish"), {"status": "failed"})
    assert refused(error) == "tracking/run-over"


def test_the_command_line_lists_and_shows_runs(home: Path) -> None:
    with (
        bucle.connect(home=home, project="flights") as client,
        bucle.start_run("try", params={"rate": 1}, client=client) as run,
    ):
        bucle.log_metric("loss", 0.25)

    def call(*arguments: str) -> str:
        session = Session()
        done = CliRunner().invoke(root, [*arguments, "--home", str(home), "--project", "flights"], obj=session)
        session.close()
        assert done.exit_code == 0, done.output
        return done.output

    assert run.id in call("runs", "list") and "loss 0.25" in call("runs", "list")
    assert "rate" in call("runs", "show", run.id) and "0.25" in call("runs", "metric", run.id, "loss")
    assert json.loads(call("runs", "show", run.id, "--json"))["record"]["run"]["id"] == run.id
    assert json.loads(call("runs", "--json")) == []


def test_a_server_that_is_killed_while_a_script_runs_loses_nothing(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ExitStack() as servers:
        server = servers.enter_context(up(home, "--port", port))
        with bucle.start_run("long", url=server.url, project="flights") as run:
            for step in range(500):
                run.log_metric("loss", 1.0, step)
            run.flush()
            server.kill()
            for step in range(500, 1000):
                run.log_metric("loss", 1.0, step)
            with pytest.raises(ConnectionError):
                run.flush()
            servers.enter_context(up(home, "--port", port))
        with bucle.connect(server.url, project="flights") as client:
            points = client.get(client.path("runs", run.id, "metrics", "loss"))
            record = client.get(client.path("runs", run.id))["record"]
        assert [point["step"] for point in points] == list(range(1000))
        assert record["run"]["status"] == "succeeded"
