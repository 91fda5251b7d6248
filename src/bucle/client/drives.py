"""The way from `pipeline.run(...)` in a script or notebook to whoever holds the project's home."""

import os
from pathlib import Path

import msgspec

from bucle.client.connection import Client, connect
from bucle.pipelines import OpenedRun, ScriptRun
from bucle.project import load_project_file


class ScriptConnection:
    """A client that carries the questions of a driver; without a server it holds the home until it is closed."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def open_run(self, request: ScriptRun) -> OpenedRun:
        """Begin a run."""
        body = msgspec.json.encode(request)
        return self._client.post(self._client.path("script-runs"), body, returns=OpenedRun)

    def ask(self, run: str, message: bytes) -> bytes:
        """Take a question to the run's coordinator."""
        answer: bytes = self._client.post(self._client.path("runs", run, "calls"), message)
        return answer

    def close(self) -> None:
        """Give back the connection, or the home."""
        self._client.close()


def connect_script(root: str) -> ScriptConnection:
    """Return the way to the home of the project in `root`: BUCLE_URL, BUCLE_HOME, else `.bucle` beside its bucle.toml."""
    own = None if os.environ.get("BUCLE_URL") or os.environ.get("BUCLE_HOME") else Path(root) / ".bucle"
    return ScriptConnection(connect(project=load_project_file(Path(root)).name, home=own))
