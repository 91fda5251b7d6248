"""`bucle.connect`: one client for a folder or a server, with the same routes and the same errors either way."""

import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

from bucle.client.answers import value_of
from bucle.client.encoding import json_of, segment_of, target_of
from bucle.client.errors import BadPatience, NoProject
from bucle.client.homes import default_home, project_name
from bucle.client.transports import HTTPTransport, InProcessTransport, Transport
from bucle.ledger import HomeBusy, find_server
from bucle.messages import language
from bucle.version import __version__

if TYPE_CHECKING:
    from bucle.features import TrainingFrame

T = TypeVar("T")
_PATIENCE = 15.0
_LONGEST_PATIENCE = 3600


class Client:
    """Speaks the routes of one home. Use it as a context manager, or close it: without a server it holds the home's lock."""

    def __init__(
        self, transport: Transport, token: str | None, project: str | None, name: str, keys: Iterator[str] | None = None
    ) -> None:
        self._transport = transport
        self._keys = keys
        self._project = project
        self._headers = {"X-Bucle-Client": name, "Accept-Language": language(), "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    @property
    def url(self) -> str:
        """Where the routes are spoken to; http://localhost stands for this very process."""
        return self._transport.url

    @property
    def in_process(self) -> bool:
        """Whether this process holds the home itself."""
        return isinstance(self._transport, InProcessTransport)

    @property
    def authorization(self) -> str | None:
        """The Authorization header of its requests, None without a token."""
        return self._headers.get("Authorization")

    @property
    def project(self) -> str:
        """The project that is meant: as given, else that of the nearest bucle.toml. Raises `client/no-project`."""
        found = self._project or project_name()
        if found is None:
            raise NoProject()
        return found

    def path(self, *parts: str) -> str:
        """Return the path of something of the project: `path("runs", id)` is `/api/v1/projects/PROJECT/runs/ID`."""
        return "/api/v1/projects/" + "/".join(segment_of(part) for part in (self.project, *parts))

    @overload
    def get(self, path: str, query: Mapping[str, object] | None = ..., *, returns: type[T]) -> T: ...
    @overload
    def get(self, path: str, query: Mapping[str, object] | None = ...) -> Any: ...
    def get(self, path: str, query: Mapping[str, object] | None = None, *, returns: Any = Any) -> Any:
        """Return what a route answers, decoded as `returns`."""
        return self._call("GET", path, query, None, returns)

    @overload
    def post(
        self,
        path: str,
        body: object = ...,
        query: Mapping[str, object] | None = ...,
        *,
        returns: type[T],
        key: str | None = ...,
    ) -> T: ...
    @overload
    def post(
        self, path: str, body: object = ..., query: Mapping[str, object] | None = ..., *, key: str | None = ...
    ) -> Any: ...
    def post(
        self,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
        *,
        returns: Any = Any,
        key: str | None = None,
    ) -> Any:
        """Send `body` (JSON of a struct, dataclass or mapping; bytes and files as they are) and return the answer.

        `key` is the Idempotency-Key: with the same key it happens once, however often it is sent.
        """
        return self._call("POST", path, query, body, returns, key)

    def put(self, path: str, body: object = None, query: Mapping[str, object] | None = None, *, key: str | None = None) -> Any:
        """As `post`, with PUT."""
        return self._call("PUT", path, query, body, Any, key)

    def patch(
        self, path: str, body: object = None, query: Mapping[str, object] | None = None, *, key: str | None = None
    ) -> Any:
        """As `post`, with PATCH."""
        return self._call("PATCH", path, query, body, Any, key)

    def delete(self, path: str, query: Mapping[str, object] | None = None, *, key: str | None = None) -> Any:
        """Delete what is at the path."""
        return self._call("DELETE", path, query, None, Any, key)

    def stream(self, path: str, query: Mapping[str, object] | None = None) -> Iterator[bytes]:
        """Return the lines of a streamed answer as they come. Raises `client/needs-server` without a server."""
        return self._transport.stream(target_of(path, query), {**self._headers, "Accept": "text/event-stream"})

    def why(self, id: str) -> Any:
        """Return the events about an id and, transitively, what caused them: `{"id", "events"}`, newest first."""
        return self.get(f"/api/v1/why/{segment_of(id)}")

    def lineage(self, id: str, direction: str = "up") -> Any:
        """Return what an id was made from ("up") or what was made from it ("down"): `{"nodes", "edges"}`."""
        return self.get(f"/api/v1/lineage/{segment_of(id)}", {"direction": direction})

    def training_frame(
        self,
        training_set: str,
        *,
        start: str | None = None,
        end: str | None = None,
        as_of: str | None = None,
        environment: str = "dev",
        seed: int = 0,
    ) -> "TrainingFrame":
        """Return the rows of a training set with start <= time < end (ISO 8601) whose label is final as of `as_of`, else now.

        Features are as each row would have seen them. Raises `features/unknown`, `features/no-rows`.
        """
        from bucle.features import TrainingFrame

        body = {"training_set": training_set, "start": start, "end": end, "as_of": as_of, "seed": seed}
        return TrainingFrame.unpack(self.post(self.path("features", "frames"), body, {"environment": environment}))

    def online_features(
        self,
        rows: Sequence[Mapping[str, object]],
        *,
        views: Sequence[str] = (),
        as_of: str | None = None,
        environment: str = "dev",
    ) -> list[dict[str, Any]]:
        """Return the features of each row (key column to value) from the online store: of `views`, else of all.

        Raises `features/unknown`, `features/not-materialized`.
        """
        body = {"rows": rows, "views": views, "as_of": as_of}
        answer = self.post(self.path("features", "online"), body, {"environment": environment})
        found: list[dict[str, Any]] = answer["rows"]
        return found

    def predict(
        self, service: str, rows: Sequence[Mapping[str, object]], *, environment: str = "dev", key: str | None = None
    ) -> dict[str, Any]:
        """Return a service's answers to `rows`, in their order, under `predictions`; `key` is the Idempotency-Key.

        Raises `serving/missing-input`, `serving/null-input`, `serving/extra-input`, `serving/wrong-type`.
        """
        path = self.path("services", service, "predict")
        answer: dict[str, Any] = self.post(path, {"rows": rows}, {"environment": environment}, key=key)
        return answer

    def send_labels(
        self, service: str, labels: Sequence[Mapping[str, object]], *, environment: str = "dev", key: str | None = None
    ) -> dict[str, Any]:
        """Send outcomes: each with `value`, `prediction_id` or `key`, and `observed_at` (ISO 8601; now without it).

        All of them are recorded, or none. Raises `serving/unknown-prediction`, `serving/label-differs`.
        """
        path = self.path("services", service, "labels")
        answer: dict[str, Any] = self.post(path, {"labels": labels}, {"environment": environment}, key=key)
        return answer

    def close(self) -> None:
        """Give back the connection, or the home."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _call(
        self, method: str, path: str, query: Mapping[str, object] | None, body: object, returns: Any, key: str | None = None
    ) -> Any:
        headers = dict(self._headers)
        data: bytes | Path | None
        if body is None or isinstance(body, bytes | Path):
            data = body
            if body is not None:
                headers["Content-Type"] = "application/octet-stream"
        else:
            data = json_of(body)
            headers["Content-Type"] = "application/json"
        if method != "GET":
            headers["Idempotency-Key"] = key or (next(self._keys) if self._keys else str(uuid.uuid4()))
        answer = self._transport.send(method, target_of(path, query), headers, data)
        return value_of(answer, returns, self.url)


def connect(
    url: str | None = None,
    token: str | None = None,
    project: str | None = None,
    home: str | Path | None = None,
    name: str | None = None,
    keys: Iterator[str] | None = None,
    patience: float | None = None,
) -> Client:
    """Return a client for the server at `url`, or for the home in a folder: over HTTP when a server holds it, else directly.

    What is not given comes from BUCLE_URL, BUCLE_TOKEN, BUCLE_HOME, BUCLE_PATIENCE; the home is `.bucle` beside the nearest
    bucle.toml, else in the user's data folder. `name` is what the client calls itself in records; `keys` are the
    Idempotency-Keys of its writes, random unless given. A process that holds the home only for a moment is waited for. A
    server that goes away in the middle of a request is waited for `patience` seconds, ten unless given, and the request is
    sent again under its key.
    Raises `ledger/home-busy`, `client/unreachable`, `client/bad-patience`.
    """
    token = token or os.environ.get("BUCLE_TOKEN") or None
    url = url or (None if home else os.environ.get("BUCLE_URL")) or None
    patience = _patience() if patience is None else patience
    folder = Path(home).absolute() if home else default_home()
    transport = HTTPTransport(url, patience) if url else _way_to(folder, patience)
    return Client(transport, token, project, name or f"bucle-python/{__version__}", keys)


def _patience() -> float:
    text = os.environ.get("BUCLE_PATIENCE") or "10"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _LONGEST_PATIENCE:
        raise BadPatience(value=text[:40], most=_LONGEST_PATIENCE, where="BUCLE_PATIENCE")
    return seconds


def _way_to(home: Path, patience: float) -> Transport:
    deadline = time.monotonic() + _PATIENCE
    while True:
        server = find_server(home)
        if server is not None:
            return HTTPTransport(server.url, patience, lambda: _address(home))
        try:
            return _in_process(home)
        except HomeBusy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _address(home: Path) -> str | None:
    server = find_server(home)
    return server.url if server is not None else None


def _in_process(home: Path) -> Transport:
    from bucle.server import open_house

    house = open_house(home, "call")
    try:
        return cast(Transport, InProcessTransport(house))
    except BaseException:
        house.close()
        raise
