"""Two ways to the same routes: HTTP to the server that holds the home, or the same application in this process."""

import asyncio
import atexit
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from bucle.client.errors import BadURL, ConnectionLost, NeedsServer, NoAnswer, NotBucle, Unreachable
from bucle.messages import Phrase

if TYPE_CHECKING:
    from bucle.server import House

_PAUSE = 0.2
_IN_PROGRESS = b'"server/request-in-progress"'
_LOST = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)
_CONNECT_SECONDS = 10.0
_LONGEST_SILENCE = 60.0
"""Of an event stream: the server says every 15 s that it is still there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """A way to send requests; `target` is path and query, already encoded."""

    url: str

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Path | None) -> Answer:
        """Send a request and return the whole answer."""

    def stream(self, target: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        """Send a GET and return the lines of the answer as they come."""

    def close(self) -> None:
        """Give back what is held."""


class HTTPTransport:
    """One kept connection. When it is lost, a request that is safe to send again is, until a server answers or patience ends.

    `find` says where the server is then, None while there is none: one that is started anew may have another address.
    """

    def __init__(self, url: str, patience: float, find: Callable[[], str | None] | None = None, timeout: float = 600.0) -> None:
        self._aim(url)
        self._patience, self._timeout = patience, timeout
        self._find = find or (lambda: self.url)
        self._connection: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Path | None) -> Answer:
        """Send a request. Raises `client/unreachable`, `client/connection-lost`, `client/no-answer`, `client/not-bucle`."""
        with self._lock:
            kept = self._connection is not None
            try:
                return self._exchange(method, target, headers, body)
            except _LOST:
                self._drop()
            if method not in ("GET", "HEAD") and "Idempotency-Key" not in headers:
                raise ConnectionLost(url=self.url)
            deadline = time.monotonic() + self._patience
            if kept:  # it may have been idle for too long: the server is there
                with suppress(Unreachable, *_LOST):
                    return self._exchange(method, target, headers, body)
            return self._again(deadline, method, target, headers, body)

    def _again(
        self, deadline: float, method: str, target: str, headers: Mapping[str, str], body: bytes | Path | None
    ) -> Answer:
        """Ask every moment until a server has answered; one that is still at work on the first request has not."""
        answer: Answer | None = None
        while (left := deadline - time.monotonic()) > 0:
            self._drop()
            time.sleep(min(_PAUSE, left))
            url = self._find()
            if url is None:
                continue
            self._aim(url)
            with suppress(Unreachable, *_LOST):
                answer = self._exchange(method, target, headers, body)
                if answer.status != 409 or _IN_PROGRESS not in answer.body:
                    return answer
        self._drop()
        if answer is None:
            raise ConnectionLost(url=self.url)
        return answer

    def _aim(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
            raise BadURL(url=url, where="BUCLE_URL")
        self.url, self._parts = url.rstrip("/"), parts

    def stream(self, target: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        """Return the lines as they come, over a connection of their own. Raises as `send`."""
        connection = self._connect(_LONGEST_SILENCE)
        try:
            connection.request("GET", target, headers=dict(headers))
            response = connection.getresponse()
            if response.status >= 400:
                from bucle.client.answers import raise_for

                raise_for(Answer(response.status, _lower(response.getheaders()), response.read()), self.url)
            while line := response.readline():
                yield line.rstrip(b"\r\n")
        except (*_LOST, TimeoutError):
            raise ConnectionLost(url=self.url) from None
        except http.client.HTTPException:
            raise NotBucle(url=self.url, answer=Phrase("client.no_http")) from None
        finally:
            connection.close()

    def close(self) -> None:
        """Close the kept connection."""
        with self._lock:
            self._drop()

    def _exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Path | None) -> Answer:
        connection = self._connection or self._connect(self._timeout)
        self._connection = connection
        try:
            if isinstance(body, Path):
                with body.open("rb") as file:
                    sized = {**headers, "Content-Length": str(body.stat().st_size)}
                    connection.request(method, target, file, sized)
            else:
                connection.request(method, target, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, _lower(response.getheaders()), response.read())
        except TimeoutError:
            self._drop()
            raise NoAnswer(url=self.url, seconds=self._timeout) from None
        except _LOST:
            raise
        except http.client.HTTPException:
            self._drop()
            raise NotBucle(url=self.url, answer=Phrase("client.no_http")) from None

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=_CONNECT_SECONDS)
        try:
            connection.connect()
            connection.sock.settimeout(timeout)
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Unreachable(url=self.url, reason=error.strerror or str(error) or "no answer") from None
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class InProcessTransport:
    """The application composed in this process, which holds the home's lock meanwhile."""

    url = "http://localhost"

    def __init__(self, house: "House") -> None:
        from bucle.server import Application, guard_for, route_table

        self._house = house
        self._application = Application(house, route_table(), guard_for("localhost"))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bucle-in-process", daemon=True)
        self._thread.start()
        self._wrote = False
        self._closed = False
        atexit.register(self.close)

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | Path | None) -> Answer:
        """Run a request through the application."""
        self._wrote = self._wrote or method not in ("GET", "HEAD")
        data = body.read_bytes() if isinstance(body, Path) else body or b""
        return asyncio.run_coroutine_threadsafe(self._request(method, target, headers, data), self._loop).result()

    def stream(self, target: str, headers: Mapping[str, str]) -> Iterator[bytes]:
        """Nobody else can write while this process holds the home. Raises `client/needs-server`."""
        raise NeedsServer(home=self._house.home.path)

    def close(self) -> None:
        """Let what the writes brought about happen, then give the home back; also when the process ends without it."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        try:
            if self._wrote:
                self._house.settle()
        finally:
            self._application.close()
            self._house.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        path, _, query = target.partition("?")
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        raw += [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": raw,
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 80),
        }
        sent: list[Any] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.Future()

        async def send(message: Any) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        start = sent[0]
        content = b"".join(message.get("body", b"") for message in sent[1:])
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return Answer(start["status"], _lower(pairs), content)


def _lower(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in pairs}
