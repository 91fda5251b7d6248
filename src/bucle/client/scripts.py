"""`bucle.start_run`: track a script or a notebook over the client."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from bucle.client.connection import Client, connect
from bucle.client.errors import ConnectionLost, Unreachable
from bucle.client.homes import project_root
from bucle.tracking import ActiveRun, RunLog, RunStart, RunStatus, active_run

_client: ContextVar[Client | None] = ContextVar("bucle_script_client", default=None)
_SENT = ("name", "experiment", "parent", "purpose", "commit", "dirty", "lock", "as_of_us", "params", "tags", "seed")


class ClientSink:
    """Sends a script's run through a client's routes."""

    def __init__(self, client: Client, environment: str = "dev") -> None:
        self._client = client
        self._query = {"environment": environment}

    def begin(self, start: RunStart) -> str:
        """Begin a run and return its id."""
        body: dict[str, Any] = {name: getattr(start, name) for name in _SENT}
        body["data"] = {use.source: use.version for use in start.data}
        return str(self._client.post(self._client.path("runs"), body, self._query)["id"])

    def record(self, run_id: str, log: RunLog) -> None:
        """Write a numbered batch. Raises ConnectionError when nobody is there."""
        body = {
            "params": log.params,
            "metrics": log.metrics,
            "tags": log.tags,
            "artifacts": log.artifacts,
            "batch": log.batch,
        }
        self._send(self._client.path("runs", run_id, "log"), body)

    def finish(self, run_id: str, status: RunStatus, error: str | None) -> None:
        """End the run. Raises ConnectionError when nobody is there."""
        self._send(self._client.path("runs", run_id, "finish"), {"status": status, "error": error}, f"{run_id}-finish")

    def keep(self, run_id: str, content: bytes | Path) -> str:
        """Keep bytes or a file as an artifact of the run and return its content id."""
        return str(self._client.post(self._client.path("runs", run_id, "artifacts"), content, self._query)["id"])

    def _send(self, path: str, body: Mapping[str, object], key: str | None = None) -> None:
        try:
            self._client.post(path, body, self._query, key=key)
        except (Unreachable, ConnectionLost) as error:
            raise ConnectionError(str(error)) from error


@contextmanager
def start_run(
    name: str = "script",
    *,
    experiment: str = "default",
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    seed: int | None = None,
    environment: str = "dev",
    client: Client | None = None,
    url: str | None = None,
    project: str | None = None,
) -> Iterator[ActiveRun]:
    """Track a block of a script or a notebook as a run of `experiment`; a run within it is its child.

        with bucle.start_run("try", params={"rate": 0.1}) as run:
            bucle.log_metric("loss", 0.3)

    What is logged goes out from a thread, so logging never waits. The commit and the lock of the project that this is run in
    are recorded. An exception ends the run as failed. `client`, else `url` and `project` as for `connect`.
    Raises `client/no-project`, and what `connect` raises. Source: K-MD, docs/tracking.md.
    """
    facts = {"experiment": experiment, "tags": dict(tags or {}), "seed": seed, **_code()}
    used = client or (_client.get() if url is None else None)  # an outer run may hold the home itself
    with nullcontext(used) if used is not None else connect(url, project=project) as speaker:
        token = _client.set(speaker)
        try:
            with active_run(ClientSink(speaker, environment), name, params=dict(params or {}), **facts) as run:
                yield run
        finally:
            _client.reset(token)


def _code() -> dict[str, Any]:
    """Return commit and lock of the project that contains the working directory, nothing outside of one."""
    from bucle.errors import BucleError
    from bucle.project import working_tree
    from bucle.runtimes import read_lock

    root = project_root()
    if root is None:
        return {}
    try:
        tree = working_tree(root)
    except BucleError:
        return {}
    code = {"commit": tree.commit, "dirty": tree.dirty}
    try:
        return code | {"lock": read_lock(tree.lock).digest}
    except BucleError:
        return code
