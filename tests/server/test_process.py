"""The server as a process: ports, homes, streams, and what remains of it after kill -9."""

import errno
import http.client
import json
import random
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live import Server, bucle, up

from bucle.client import Client, ConnectionLost, Unreachable, connect
from bucle.errors import RemoteError
from bucle.identity import create_token, list_tokens
from bucle.ledger import EventFilter, Home, find_server
from bucle.server.errors import PortNotAllowed
from bucle.server.process import listen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with up(tmp_path / "home") as server:
        yield server


def error(text: str) -> str:
    return str(json.loads(text)["code"])


def test_it_answers_when_it_says_so_and_stays_small(server: Server) -> None:
    with connect(server.url) as client:
        health = client.get("/health")
        assert health["ok"] and health["pid"] == server.pid
        assert client.get("/health/ready")["ok"]
        assert health["memory"] < 150e6


def test_it_comes_up_without_the_heavy_libraries(server: Server) -> None:
    """What a process has mapped tells which compiled libraries it has loaded. Linux only."""
    mapped = Path(f"/proc/{server.pid}/maps").read_text("utf-8")
    assert not [name for name in ("numpy", "polars", "pyarrow", "duckdb", "sklearn", "pandas") if f"/{name}" in mapped]


def test_a_port_in_use_is_refused_before_the_home_is_touched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = bucle("up", "--json", "--home", tmp_path / "home", "--port", taken.getsockname()[1])
    assert (refused.returncode, error(refused.stderr)) == (1, "server/port-in-use")
    assert not (tmp_path / "home").exists()


def test_a_port_that_only_root_may_have_is_said_to_be_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests may run as root, or where the system lets anybody have port 80: the refusal is made, the rest is real."""

    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(PortNotAllowed, match=r"Only root may listen on port 80 of 127\.0\.0\.1") as refused:
        listen("127.0.0.1", 80)
    assert (refused.value.code, refused.value.where) == ("server/port-not-allowed", "--port")


def test_a_second_server_on_a_home_is_refused_and_the_first_goes_on(server: Server, tmp_path: Path) -> None:
    refused = bucle("up", "--json", "--home", tmp_path / "home", "--port", 0)
    assert (refused.returncode, error(refused.stderr)) == (1, "ledger/home-busy")
    assert str(server.pid) in refused.stderr
    with connect(server.url) as client:
        assert client.get("/health")["ok"]


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    refused = bucle("up", "--json", "--home", tmp_path / "home", "--host", "192.0.2.1", "--port", 0)
    assert (refused.returncode, error(refused.stderr)) == (1, "server/bad-address")


def test_a_server_for_others_needs_a_token_to_start_and_to_answer(tmp_path: Path) -> None:
    home = tmp_path / "home"
    refused = bucle("up", "--json", "--home", home, "--host", "0.0.0.0", "--port", 0)
    assert (refused.returncode, error(refused.stderr)) == (1, "server/unprotected")
    made = bucle("token", "create", "ana", "--role", "viewer", "--home", home)
    with up(home, "--host", "0.0.0.0") as server:
        with pytest.raises(RemoteError) as unknown, connect(server.url) as client:
            client.get("/api/v1/whoami")
        assert unknown.value.code == "identity/token-missing"
        with connect(server.url, made.stdout.strip()) as client:
            assert client.get("/api/v1/whoami")["name"] == "ana"
            with pytest.raises(RemoteError) as forbidden:
                client.get("/api/v1/tokens")
            assert forbidden.value.code == "identity/forbidden"


def test_a_token_may_be_asked_for_on_a_laptop_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    refused = bucle("up", "--json", "--home", home, "--port", 0, "--require-token")
    assert (refused.returncode, error(refused.stderr)) == (1, "server/unprotected")
    secret = bucle("token", "create", "ana", "--role", "viewer", "--home", home).stdout.strip()
    with up(home, "--require-token") as server:
        with connect(server.url) as client, pytest.raises(RemoteError) as unknown:
            client.get("/api/v1/clock")
        assert unknown.value.code == "identity/token-missing"
        with connect(server.url, secret) as client:
            assert client.get("/api/v1/clock")["kind"] == "wall"


def test_a_home_is_told_once_to_survive_a_loss_of_power(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for words in (("--durability", "power"), ()):
        with up(home, *words) as server, connect(server.url) as client:
            told = client.get("/api/v1/events", {"kind": "ledger.durability_set"})["events"]
            assert [event["data"]["durability"] for event in told] == ["power"]


def test_events_stream_as_they_come_and_resume_where_the_last_one_was(server: Server) -> None:
    with connect(server.url) as client:
        first = client.post("/api/v1/gc", {})
        assert first is not None
        seen: list[dict[str, object]] = []
        began = threading.Event()

        def listen() -> None:
            for line in client.stream("/events", {"kind": "identity."}):
                began.set()
                if line.startswith(b"data: "):
                    seen.append(json.loads(line[6:]))
                    if len(seen) == 2:
                        return

        thread = threading.Thread(target=listen)
        thread.start()
        assert began.wait(30)
        for name in ("ana", "bob"):
            client.post("/api/v1/tokens", {"name": name, "role": "viewer"})
            client.post("/api/v1/gc", {})
        thread.join(30)
        assert [event["data"]["name"] for event in seen] == ["ana", "bob"]  # type: ignore[index]
    request = urllib.request.Request(f"{server.url}/events?kind=identity.", headers={"Last-Event-ID": str(seen[0]["seq"])})
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response:
            if line.startswith(b"id: "):
                assert int(line[4:]) == seen[1]["seq"]
                break


def test_a_stream_ends_when_the_server_does(server: Server) -> None:
    with connect(server.url) as client:
        lines = client.stream("/events")
        next(lines)
        server.process.terminate()
        for _ in lines:
            pass
    assert server.process.wait(30) == 0


def test_a_request_that_lies_about_its_length_or_shape_breaks_nothing(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for raw in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.com\r\n\r\n",
        b"POST /api/v1/gc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(64)
            assert b" 200 " not in answer.partition(b"\r\n")[0]
    with connect(server.url) as client:
        assert client.get("/health")["ok"]


def test_kill_9_among_a_thousand_writes_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    acknowledged: dict[str, str] = {}
    unsure: list[str] = []
    enough = threading.Semaphore(0)
    lock = threading.Lock()

    def write(client: Client, thread: int) -> None:
        for number in range(250):
            name = f"t{thread}.{number}"
            try:
                made = client.post("/api/v1/tokens", {"name": name, "role": "viewer"}, key=name)
            except (ConnectionLost, Unreachable):
                unsure.append(name)
                return
            with lock:
                acknowledged[name] = made["id"]
            enough.release()

    with up(home) as server:
        clients = [connect(server.url) for _ in range(4)]
        threads = [threading.Thread(target=write, args=(client, n)) for n, client in enumerate(clients)]
        for thread in threads:
            thread.start()
        for _ in range(random.Random(7).randrange(100, 300)):
            enough.acquire()
        server.kill()
        for thread in threads:
            thread.join()
    assert unsure, "the server was killed while it was being written to"
    assert find_server(home) is None
    _compare(home, acknowledged)
    with up(home) as server, connect(server.url) as client:
        for name in unsure:  # the same request with the same key: done at most once
            client.post("/api/v1/tokens", {"name": name, "role": "viewer"}, key=name)
        for name, id in acknowledged.items():
            assert client.post("/api/v1/tokens", {"name": name, "role": "viewer"}, key=name)["id"] == id
            break
    tokens = _compare(home, acknowledged)
    assert {*acknowledged, *unsure} == set(tokens.values()) and len(set(tokens.values())) == len(tokens)


def _compare(home: Path, acknowledged: dict[str, str]) -> dict[str, str]:
    opened = Home.open(home)
    tokens = {token.id: token.name for token in list_tokens(opened.ledger)}
    events = opened.ledger.events(EventFilter(kinds=("identity.token_created",), limit=10_000))
    assert not opened.ledger.check()
    opened.close()
    assert {event.subject: event.data["name"] for event in events} == tokens
    assert {id: name for name, id in acknowledged.items()}.items() <= tokens.items()
    return tokens


def test_a_role_that_only_answers_starts_nothing(tmp_path: Path) -> None:
    with up(tmp_path / "home", "--role", "api") as server, connect(server.url) as client:
        client.post("/api/v1/gc", {})
        with pytest.raises(RemoteError) as refused:
            client.post("/api/v1/clock/advance", {"to": "1h"})
        assert refused.value.code == "server/only-answers"
        kinds = {event["kind"] for event in client.get("/api/v1/events")["events"]}
    assert "ledger.ticked" not in kinds


def test_a_stopped_server_gives_everything_back(server: Server, tmp_path: Path) -> None:
    stopped = bucle("down", "--json", "--home", tmp_path / "home")
    assert json.loads(stopped.stdout) == {"stopped": server.pid}
    home = Home.open(tmp_path / "home")
    create_token(home.ledger, "ana", "viewer")
    home.close()
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=60).connect()
    assert not (tmp_path / "home" / "server.json").exists()
    assert (tmp_path / "home" / "logs" / "bucle.log").exists()


def test_a_server_waits_for_a_command_that_holds_the_home_for_a_moment(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    threading.Timer(1.0, home.close).start()
    with up(tmp_path / "home") as server:
        assert find_server(tmp_path / "home") is not None and server.url
