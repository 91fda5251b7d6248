"""Where the demo plays: a project, its server, and the people who act, each with a token of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bucle.client import Client, ConnectionLost, Unreachable, connect
from bucle.demo.errors import CommandFailed, ServerGone
from bucle.errors import RemoteError
from bucle.ledger import ServerAddress, find_server

T = TypeVar("T")

_PATIENCE = 600.0
_PASSING = {
    "client/unreachable",
    "client/connection-lost",
    "client/needs-server",
    "server/shutting-down",
    "server/clock-busy",
    "server/request-in-progress",
}
_PAUSE = 0.2
_SHORTEST_PAUSE = 0.002
_LONGEST_SECONDS = 1200


@dataclass(slots=True)
class Stage:
    """A running demo: `say` tells the reader what happens."""

    directory: Path
    home: Path
    say: Callable[[str], None]
    tokens: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=dict)

    def command(self, *words: str, actor: str | None = None, directory: Path | None = None) -> Any:
        """Run `bucle WORDS --json` as `actor` and return its document; a server that is gone is waited for."""
        command = [sys.executable, "-m", "bucle", *words, "--json"]
        while True:
            done = _run(command, directory or self.directory, self.environment(actor))
            if done.returncode == 0:
                return json.loads(done.stdout) if done.stdout.strip() else None
            if _code(done.stderr) not in _PASSING:
                raise CommandFailed(command=" ".join(("bucle", *words)), reason=_reason(done.stderr))
            time.sleep(_PAUSE)
            self.await_server()

    def git(self, *words: str, actor: str) -> str:
        """Run git in the project as `actor` and return what it said, stderr included."""
        identity = ["-c", f"user.name={actor}", "-c", f"user.email={actor}@example.org"]
        identity += ["-c", f"http.extraHeader=Authorization: Bearer {self.tokens[actor]}"]
        done = _run(["git", *identity, *words], self.directory, self.environment(actor))
        if done.returncode:
            raise CommandFailed(command=" ".join(("git", *words)), reason=done.stderr.strip())
        return done.stdout + done.stderr

    def push(self, actor: str) -> str:
        """Push the project's HEAD to main and return what git said; a push that a server's death cut off is pushed again."""
        while True:
            server = self.server()
            try:
                return self.git("push", f"{server.url}/git/flights.git", "HEAD:refs/heads/main", actor=actor)
            except CommandFailed:
                if find_server(self.home) == server:
                    raise
                self.await_server()

    def python(self, *words: str, actor: str, typed: str | None = None) -> str:
        """Run this Python with `words` in the project as `actor`, `typed` on its stdin; return the run's id that it printed."""
        while True:
            server = self.server()
            environment = self.environment(actor) | {"PYTHONPATH": self._paths()}
            done = _run([sys.executable, *words], self.directory, environment, typed)
            lines = done.stdout.split()
            if done.returncode == 0 and lines and lines[-1].startswith("run_"):
                return lines[-1]
            if find_server(self.home) == server:
                raise CommandFailed(command=" ".join(("python", *words)), reason=_reason(done.stderr))
            self.await_server()

    def _paths(self) -> str:
        """The project's folder first, as `python FILE` from it would not have it."""
        return os.pathsep.join(filter(None, (str(self.directory), os.environ.get("PYTHONPATH"))))

    def call(self, actor: str, act: Callable[[Client], T]) -> T:
        """Let `actor` use the API; when the server is gone, wait for the next `bucle up` and do it again."""
        while True:
            try:
                return act(self.client(actor))
            except (Unreachable, ConnectionLost):
                self.await_server()
            except RemoteError as error:
                if error.code not in _PASSING:
                    raise
                time.sleep(_PAUSE)
                self.await_server()

    def client(self, actor: str) -> Client:
        """Return the HTTP client of a person, made on first use."""
        if actor not in self.clients:
            self.clients[actor] = connect(self.url(), self.tokens[actor], "flights", name=f"demo-{actor}")
        return self.clients[actor]

    def url(self) -> str:
        """Return where the server answers, as `server` finds it."""
        return self.server().url

    def leave(self) -> None:
        """Stop the server if one holds the home."""
        if find_server(self.home) is not None:
            self.command("down")

    def await_server(self) -> None:
        """Close everybody's connection and wait for the server, as `server` does."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()
        self.server()

    def server(self) -> ServerAddress:
        """Return the server that holds the home; the next one is waited for. Raises `demo/server-gone` after ten minutes."""
        deadline, said = time.monotonic() + _PATIENCE, False
        while (address := find_server(self.home)) is None:
            if not said:
                self.say(f"The server is gone. Start it again: bucle up --home {self.home}")
                said = True
            if time.monotonic() > deadline:
                raise ServerGone(home=self.home)
            time.sleep(_PAUSE)
        if said:
            self.say("It is back; going on.")
        return address

    def environment(self, actor: str | None) -> dict[str, str]:
        """Return the environment of a command. A person's goes to the server, which is waited for: a command that found none
        would take the home itself, and keep the next server out of it."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("BUCLE_")}
        environment |= {"GIT_TERMINAL_PROMPT": "0", "BUCLE_HOME": str(self.home)}
        if actor is not None:
            environment |= {"BUCLE_TOKEN": self.tokens[actor], "BUCLE_URL": self.url()}
        return environment


def wait_for(ready: Callable[[], T | None], what: str, timeout: float = 600.0) -> T:
    """Ask `ready` until it answers something; seconds. Raises `demo/command-failed`."""
    deadline, pause = time.monotonic() + timeout, _SHORTEST_PAUSE
    while (found := ready()) is None:
        if time.monotonic() > deadline:
            raise CommandFailed(command=what, reason=f"nothing came of it in {timeout:.0f} s")
        time.sleep(pause)
        pause = min(2 * pause, _PAUSE)
    return found


def _run(
    command: list[str], directory: Path, environment: dict[str, str], typed: str | None = None
) -> "subprocess.CompletedProcess[str]":
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if typed is None else {"input": typed}
    try:
        return subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, text=True, timeout=_LONGEST_SECONDS, **given
        )
    except subprocess.TimeoutExpired as error:
        shown = " ".join(word for word in command if "Authorization" not in word)
        raise CommandFailed(command=shown, reason=f"it did not end within {_LONGEST_SECONDS} s") from error


def _code(stderr: str) -> str:
    """Return the code of the error that a command with `--json` ended with."""
    try:
        return str(json.loads(_reason(stderr))["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _reason(stderr: str) -> str:
    lines: Sequence[str] = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
