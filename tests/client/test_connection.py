"""One client, two ways: over HTTP to the server that holds the home, or in this process while it holds the lock."""

import socket
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.live import up

import bucle
from bucle.client import Client, ConnectionLost, NeedsServer, NoProject
from bucle.client.errors import NoAnswer, NotBucle
from bucle.client.transports import HTTPTransport
from bucle.errors import BucleError, RemoteError
from bucle.ledger import EventFilter, Home, Subscription, find_server
from bucle.messages import translate_error


class WhoAmI(msgspec.Struct):
    name: str
    client: str


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BUCLE_HOME", "BUCLE_URL", "BUCLE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def errors(client: Client) -> list[tuple[Any, ...]]:
    found = []
    for method, path, body in (
        ("get", "/api/v1/why/nothing", None),
        ("get", "/nowhere", None),
        ("post", "/api/v1/tokens", {"name": "a", "role": "x"}),
        ("post", "/api/v1/tokens", {"nmae": "a"}),
    ):
        with pytest.raises(RemoteError) as raised:
            client.get(path) if method == "get" else client.post(path, body)
        error = raised.value
        found.append((error.code, error.text, error.where, error.next_step, error.status))
    return found


def test_both_ways_answer_and_refuse_alike(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with bucle.connect(home=home) as client:
        assert client.in_process
        made = client.post("/api/v1/tokens", {"name": "ana", "role": "viewer"})
        alone = errors(client)
    with up(home), bucle.connect(home=home) as client:
        assert not client.in_process
        assert client.get("/api/v1/tokens")[0]["id"] == made["id"]
        assert errors(client) == alone


def test_the_home_is_given_back_at_the_end(tmp_path: Path) -> None:
    with bucle.connect(home=tmp_path) as client:
        client.get("/health")
    Home.open(tmp_path).close()


def test_answers_are_decoded_as_what_is_wanted_and_the_client_says_its_name(tmp_path: Path) -> None:
    with bucle.connect(home=tmp_path, name="notebook") as client:
        assert client.get("/api/v1/whoami", returns=WhoAmI).client == "notebook"


def test_a_token_sets_who_acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with bucle.connect(home=tmp_path) as client:
        secret = client.post("/api/v1/tokens", {"name": "ana", "role": "viewer"})["token"]
    with bucle.connect(home=tmp_path, token=secret) as client:
        assert client.get("/api/v1/whoami")["name"] == "ana"
    monkeypatch.setenv("BUCLE_TOKEN", secret)
    with bucle.connect(home=tmp_path) as client, pytest.raises(RemoteError) as refused:
        client.get("/api/v1/tokens")
    assert refused.value.code == "identity/forbidden"


def test_the_same_key_is_one_write(tmp_path: Path) -> None:
    with bucle.connect(home=tmp_path) as client:
        one, two = (client.post("/api/v1/tokens", {"name": "ana", "role": "viewer"}, key="k") for _ in range(2))
        assert one == two and len(client.get("/api/v1/tokens")) == 1


def test_a_home_that_is_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    timer = threading.Timer(0.3, home.close)
    timer.start()
    with bucle.connect(home=tmp_path) as client:
        assert client.get("/health")["ok"]
    timer.join()


def test_what_a_write_brings_about_has_happened_when_the_client_is_closed(tmp_path: Path) -> None:
    seen = []
    client = bucle.connect(home=tmp_path)
    house = client._transport._house  # type: ignore[attr-defined]
    house.subscribe(Subscription("test", ("identity.",), lambda event: seen.append(event.kind)))
    client.get("/api/v1/tokens")
    client.post("/api/v1/tokens", {"name": "ana", "role": "viewer"})
    assert seen == []
    client.close()
    assert seen == ["identity.token_created"]


def test_files_and_bytes_go_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"{}")
    with up(tmp_path / "home"), bucle.connect(home=tmp_path / "home") as client:
        for body in (b"{}", tmp_path / "body"):
            with pytest.raises(RemoteError) as refused:
                client.post("/api/v1/gc", body)
            assert refused.value.code == "server/wrong-content-type"


def test_the_project_is_that_of_the_folder_unless_it_is_named(tmp_path: Path) -> None:
    with bucle.connect(home=tmp_path / "home") as client, pytest.raises(NoProject) as refused:
        client.path("runs")
    assert refused.value.code == "client/no-project"
    (tmp_path / "bucle.toml").write_text('[project]\nname = "flights"\n')
    with bucle.connect() as client:
        assert client.path("runs", "a/b") == "/api/v1/projects/flights/runs/a%2Fb"
    with bucle.connect(project="taxis") as client:
        assert client.path() == "/api/v1/projects/taxis"
    assert (tmp_path / ".bucle" / "ledger.db").exists()


def test_following_needs_a_server(tmp_path: Path) -> None:
    with bucle.connect(home=tmp_path) as client, pytest.raises(NeedsServer):
        client.stream("/events")


def test_a_write_is_sent_again_under_its_key_until_a_server_answers() -> None:
    heard: list[bytes] = []
    busy = b'{"code": "server/request-in-progress", "detail": "", "status": 409}'
    replies = [b"", b"HTTP/1.1 409 Conflict\r\nContent-Length: %d\r\n\r\n%s" % (len(busy), busy), b"HTTP/1.1 204 Done\r\n\r\n"]
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def die_be_busy_answer() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                heard.append(connection.recv(10_000))
                connection.sendall(reply)
                connection.close()

        thread = threading.Thread(target=die_be_busy_answer)
        thread.start()
        with bucle.connect(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=60) as client:
            assert client.post("/api/v1/x") is None
        thread.join()
    keys = {line for each in heard for line in each.split(b"\r\n") if line.lower().startswith(b"idempotency-key")}
    assert len(heard) == 3 and len(keys) == 1


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e9"])
def test_a_patience_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("BUCLE_PATIENCE", text)
    with pytest.raises(BucleError) as refused:
        bucle.connect("http://127.0.0.1:1")
    assert refused.value.code == "client/bad-patience" and refused.value.where == "BUCLE_PATIENCE"


def test_what_an_address_cannot_say_is_refused_by_its_parameter() -> None:
    client = bucle.connect("http://127.0.0.1:1", project="air")
    with pytest.raises(BucleError) as refused:
        client.get("/api/v1/projects", {"environment": "\udce9"})
    assert (refused.value.code, refused.value.where) == ("client/bad-value", "query.environment")
    with pytest.raises(BucleError) as unsent:
        client.path("runs", "\udce9")
    assert unsent.value.code == "client/bad-value"


def test_a_server_that_never_answers_is_given_up_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # connections are made, nobody takes them
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(NoAnswer, match=r"has not answered for 0\.2 s") as silent:
            HTTPTransport(url, patience=0.0, timeout=0.2).send("GET", "/api/v1/clock", {}, None)
    assert silent.value.code == "client/no-answer"


def test_a_server_that_dies_in_the_middle_is_told_apart_from_one_that_never_was() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept_and_die() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(10)
                connection.close()

        thread = threading.Thread(target=accept_and_die)
        thread.start()
        client = bucle.connect(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=0)
        for call in (client.get, client.post):
            with pytest.raises(ConnectionLost) as lost:
                call("/api/v1/clock")
            assert lost.value.code == "client/connection-lost"
        thread.join()


def test_a_kept_connection_that_turns_out_dead_is_made_again_and_nothing_is_done_twice(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home) as server:
        port = server.url.rpartition(":")[2]
        client = bucle.connect(server.url)
        client.post("/api/v1/tokens", {"name": "a", "role": "viewer"})
        server.kill()
    with up(home, "--port", port):
        client.post("/api/v1/tokens", {"name": "b", "role": "viewer"})
        client.close()
    assert find_server(home) is None
    opened = Home.open(home)
    assert len(opened.ledger.events(EventFilter(kinds=("identity.token_created",)))) == 2
    opened.close()


def test_what_is_no_public_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bucle.nothing
    assert {"connect", "Client"} <= set(dir(bucle))


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 abc\r\n\r\n", b"220 mail\r\n"])
def test_a_port_of_another_program_is_said_to_be_no_bucle(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(10_000)
                connection.sendall(greeting)
                connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        client = bucle.connect(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=0)
        for ask in (lambda: client.get("/health"), lambda: list(client.stream("/api/v1/events/stream"))):
            with pytest.raises(NotBucle, match="its answer is no HTTP") as raised:
                ask()
            assert "su respuesta no es HTTP" in translate_error(raised.value, "es")[0]
        thread.join()
