"""The command line as a user calls it: exit codes, errors without stack traces, JSON, languages, homes."""

import http.server
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from tests.live import Server, bucle, environment, up

from bucle.cli import root
from bucle.cli.commands import COMMANDS
from bucle.ledger import Home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with up(home) as server:
        yield server


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None:
                yield from leaves(child, (*path, name))


def test_every_command_explains_itself_and_takes_the_shared_options() -> None:
    for path, command in leaves(root):
        options = {option for parameter in command.params for option in parameter.opts}
        assert command.help, path
        assert {"--json", "--home"} <= options, path
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, (path, parameter.opts)


def test_the_table_of_commands_says_what_the_modules_have() -> None:
    context = click.Context(root)
    missing = [name for name in root.list_commands(context) if root.get_command(context, name) is None]
    assert missing == []
    modules = {module for module, _ in COMMANDS.values()}
    for module in modules:
        loaded = sys.modules.get(f"bucle.cli.{module}")
        for each in vars(loaded).values() if loaded else ():
            top = isinstance(each, click.Command) and COMMANDS.get(each.name or "", ("",))[0] == module
            inner = isinstance(each, click.Command) and any(each is command for path, command in leaves(root) if len(path) > 1)
            assert not isinstance(each, click.Command) or top or inner, f"{module}: {each.name} is in no table"


def test_help_lists_the_commands_and_imports_none_of_them() -> None:
    script = "import sys; from bucle.cli.main import root; root.main(['--help'], standalone_mode=False); "
    script += (
        "print(sorted(name for name in sys.modules if name.startswith('bucle.') or name in ('rich', 'asyncio', 'msgspec')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), timeout=120)
    for name in root.list_commands(click.Context(root)):
        assert f"  {name} " in done.stdout
    loaded = done.stdout.splitlines()[-1]
    for heavy in ("rich", "asyncio", "msgspec", "bucle.ledger", "bucle.client", "bucle.cli.server"):
        assert f"'{heavy}'" not in loaded


def test_importing_bucle_loads_no_room() -> None:
    script = (
        "import sys, bucle; print([n for n in sys.modules if n.startswith('bucle.') or n in ('msgspec', 'polars', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(), timeout=120)
    assert done.stdout.strip() == "['bucle.version']"


def test_bad_use_exits_2_and_says_what_is_near(home: Path) -> None:
    for words in (["evnts"], ["events", "--lmit", "3"], ["why"], ["events", "--limit", "0"], ["up", "--port", "x"]):
        done = bucle(*words, "--home", home)
        assert done.returncode == 2, words
        assert done.stdout == ""
        assert done.stderr.startswith("cli/usage: ") and "next:" in done.stderr
    assert "Did you mean 'events'?" in bucle("evnts").stderr
    document = json.loads(bucle("evnts", "--json").stderr)
    assert sorted(document) == ["code", "message", "next", "where"]


def test_a_failure_exits_1_with_code_message_where_and_next(home: Path) -> None:
    done = bucle("why", "run_x", "--home", home)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == "ledger/unknown-id: Nothing is known under the id 'run_x'."
    assert done.stderr.splitlines()[1].startswith("  next:  ")
    document = json.loads(bucle("why", "run_x", "--json", "--home", home).stderr)
    assert document["code"] == "ledger/unknown-id"


def test_an_error_is_the_same_with_a_server_and_without(home: Path, server: Server) -> None:
    words = ("token", "create", "ana", "--role", "king", "--json", "--home", home)
    with_server = bucle(*words)
    server.kill()
    assert with_server.stderr == bucle(*words).stderr
    assert json.loads(with_server.stderr)["where"] == "role"


def test_errors_speak_spanish_where_that_is_wanted(home: Path) -> None:
    done = bucle("why", "x", "--home", home, BUCLE_LANG="es_AR.UTF-8")
    assert "No se sabe nada del id 'x'." in done.stderr
    assert "muestra cómo" in bucle("why", BUCLE_LANG="es").stderr


def test_what_goes_wrong_inside_leaves_its_traceback_in_the_home_and_not_on_the_screen(home: Path) -> None:
    Home.open(home).close()
    script = "import bucle.client.connection as c, sys; from bucle.cli import main\n"
    script += "def boom(*a, **k): raise LookupError('insides')\n"
    script += "c.Client.why = boom\nmain(['why', 'x', '--home', sys.argv[1]])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)], capture_output=True, text=True, env=environment(), timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.startswith("cli/unexpected: ") and "Traceback" not in done.stderr and "insides" not in done.stderr
    assert str(home / "logs" / "cli.log") in done.stderr
    assert "LookupError: insides" in (home / "logs" / "cli.log").read_text()


def test_json_is_one_document_and_nothing_else(home: Path) -> None:
    for words in (["status"], ["events"], ["clock"], ["token", "list"], ["token", "roles"], ["doctor"], ["gc"], ["logs"]):
        done = bucle(*words, "--json", "--home", home)
        assert (done.returncode, done.stderr) == (0, ""), words
        json.loads(done.stdout)
    json.loads(bucle("--json", "--home", home, "clock").stdout)


def test_the_home_is_found_beside_the_project_s_file_upward(tmp_path: Path) -> None:
    inside = tmp_path / "project" / "src" / "deep"
    inside.mkdir(parents=True)
    (tmp_path / "project" / "bucle.toml").write_text("[project]\nname = 'flights'\n")
    assert json.loads(bucle("status", "--json", cwd=inside).stdout)["home"] == str(tmp_path / "project" / ".bucle")
    named = json.loads(bucle("status", "--json", cwd=inside, BUCLE_HOME=str(tmp_path / "other")).stdout)
    assert named["home"] == str(tmp_path / "other")
    outside = json.loads(bucle("status", "--json", cwd=tmp_path, XDG_DATA_HOME=str(tmp_path / "data")).stdout)
    assert outside["home"] == str(tmp_path / "data" / "bucle")


def test_calls_at_the_same_time_wait_for_each_other(home: Path) -> None:
    words = [sys.executable, "-m", "bucle", "token", "create", "ana", "--role", "viewer", "--home", str(home)]
    calls = [subprocess.Popen(words, stdout=subprocess.PIPE, env=environment()) for _ in range(4)]
    secrets = {call.communicate(timeout=60)[0] for call in calls}
    assert len(secrets) == 4 and [call.returncode for call in calls] == [0] * 4


def test_a_token_in_the_environment_sets_who_acts(home: Path, server: Server) -> None:
    secret = bucle("token", "create", "dora", "--role", "devops_engineer", "--home", home).stdout.strip()
    assert bucle("gc", "--home", home, BUCLE_TOKEN=secret).returncode == 0
    assert bucle("gc", BUCLE_URL=server.url, BUCLE_TOKEN=secret).returncode == 0
    events = json.loads(bucle("events", "--json", "--kind", "artifacts.", "--home", home).stdout)
    assert [(event["actor"], event["role"]) for event in events] == [("dora", "devops_engineer")] * 2
    assert "identity/forbidden" in bucle("token", "list", "--home", home, BUCLE_TOKEN=secret).stderr
    listed = json.loads(bucle("token", "list", "--json", "--home", home).stdout)
    assert listed[0]["last_used"] is not None
    assert bucle("token", "revoke", listed[0]["id"], "--home", home).returncode == 0
    assert "identity/bad-token" in bucle("gc", "--home", home, BUCLE_TOKEN=secret).stderr
    assert "identity/unknown-token" in bucle("token", "revoke", listed[0]["id"], "--home", home).stderr


def test_a_server_in_the_background_comes_up_says_where_and_goes_down(home: Path) -> None:
    started = bucle("up", "--detach", "--json", "--port", 0, "--home", home)
    document = json.loads(started.stdout)
    try:
        status = json.loads(bucle("status", "--json", "--home", home).stdout)
        assert status["up"] and status["url"] == document["url"] and status["pid"] == document["pid"]
        again = bucle("up", "--detach", "--json", "--port", 0, "--home", home)
        assert json.loads(again.stderr)["code"] == "ledger/home-busy"
        assert "Started server process" in bucle("logs", "--home", home).stdout
    finally:
        assert bucle("down", "--home", home).returncode == 0
    for words in (["down"], ["open"], ["events", "--follow"]):
        assert "client/needs-server" in bucle(*words, "--home", home).stderr, words


def test_a_killed_server_comes_up_again_on_the_same_home(home: Path) -> None:
    with up(home) as server:
        assert bucle("token", "create", "ana", "--role", "viewer", "--home", home).returncode == 0
        server.kill()
    assert json.loads(bucle("status", "--json", "--home", home).stdout)["up"] is False
    with up(home):
        assert [token["name"] for token in json.loads(bucle("token", "list", "--json", "--home", home).stdout)] == ["ana"]


def test_events_are_followed_as_they_come(home: Path, server: Server) -> None:
    words = [
        sys.executable,
        "-m",
        "bucle",
        "events",
        "--follow",
        "--json",
        "--after",
        "0",
        "--kind",
        "identity.",
        "--home",
        home,
    ]
    follower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
    assert follower.stdout is not None
    for name in ("ana", "bob"):
        bucle("token", "create", name, "--role", "viewer", "--home", home)
        assert json.loads(follower.stdout.readline())["data"]["name"] == name
    follower.send_signal(signal.SIGINT)
    _, error = follower.communicate(timeout=30)
    assert follower.returncode == 1 and "cli/interrupted" in error and "Traceback" not in error


def test_the_clock_is_shown_and_advanced(home: Path) -> None:
    Home.open(home, replay_from=datetime(2013, 1, 1, tzinfo=UTC)).close()
    assert bucle("clock", "--home", home).stdout == "2013-01-01T00:00:00Z (replay clock)\n"
    assert json.loads(bucle("clock", "advance", "3h", "--json", "--home", home).stdout)["now"] == "2013-01-01T03:00:00Z"
    assert "ledger/clock-backwards" in bucle("clock", "advance", "2012-01-01", "--home", home).stderr
    ticks = json.loads(bucle("events", "--json", "--kind", "ledger.ticked", "--home", home).stdout)
    chain = json.loads(bucle("why", str(ticks[-1]["seq"]), "--json", "--home", home).stdout)["events"]
    assert [event["kind"] for event in chain] == ["ledger.ticked", "ledger.clock_advanced"]


def test_an_address_where_nothing_is_or_something_else_is_refused() -> None:
    assert "client/unreachable" in bucle("clock", BUCLE_URL="http://127.0.0.1:9").stderr
    assert "client/bad-url" in bucle("clock", BUCLE_URL="ftp://x").stderr
    other = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=other.serve_forever)
    thread.start()
    try:
        assert "client/not-bucle" in bucle("clock", BUCLE_URL=f"http://127.0.0.1:{other.server_port}").stderr
    finally:
        other.shutdown()
        thread.join()
        other.server_close()


def test_a_reader_that_has_had_enough_is_no_failure(home: Path) -> None:
    words = [sys.executable, "-m", "bucle", "token", "roles", "--home", str(home)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(60)
