"""How a push reaches bucle: git's hooks talk to this process over a private socket, each push with a secret of its own."""

import hmac
import json
import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bucle.delivery import hook
from bucle.delivery.repositories import Repository, clean_environment
from bucle.identity import Principal
from bucle.ledger import Home

_LONGEST_REQUEST = 1 << 20
_LONGEST_SECONDS = 600.0
_HOOK = '#!/bin/sh\nexec "$BUCLE_HOOK_PYTHON" -I "$BUCLE_HOOK_SCRIPT" "$(basename "$0")"\n'
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A ref that a push moved; forty zeros stand for nothing."""

    old: str
    new: str
    ref: str


@dataclass(frozen=True, slots=True)
class Push:
    """One push under way: who pushes what where. `secret` is known only to this process and the push's own hooks."""

    repository: Repository
    principal: Principal
    secret: str


Receiver = Callable[[Push, list[RefUpdate]], Iterable[str]]
"""What is done with a push that git has accepted; the lines go to the one who pushed."""


class Reception:
    """Takes the word of git's hooks. The socket lies in a private folder and is made at the first push."""

    def __init__(self, home: Home, receive: Receiver) -> None:
        self._home = home
        self._receive = receive
        self._pushes: dict[str, Push] = {}
        self._guard = threading.Lock()
        self._socket: socket.socket | None = None
        self._folder: Path | None = None

    def expect(self, repository: Repository, principal: Principal) -> Push:
        """Open the door for one push; `finished` closes it."""
        push = Push(repository, principal, secrets.token_urlsafe(32))
        with self._guard:
            if self._socket is None:
                self._listen()
            self._pushes[push.secret] = push
        return push

    def finished(self, push: Push) -> None:
        """Forget the push: its secret is worth nothing from now on."""
        with self._guard:
            self._pushes.pop(push.secret, None)

    def environment(self, push: Push | None) -> dict[str, str]:
        """Return the whole environment of the git process that serves a request; without a push it runs no hooks."""
        if push is None:
            return clean_environment(_settings({"core.hooksPath": os.devnull, "safe.directory": "*"}))
        return clean_environment(
            {
                "BUCLE_HOOK_SOCKET": str(self._socket_path()),
                "BUCLE_HOOK_SECRET": push.secret,
                "BUCLE_HOOK_PYTHON": sys.executable,
                "BUCLE_HOOK_SCRIPT": hook.__file__,
                **_settings({"core.hooksPath": str(self._hooks()), "safe.directory": "*"}),
            }
        )

    def close(self) -> None:
        """Stop listening."""
        with self._guard:
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._socket.close()
                self._socket = None
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _listen(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bucle-"))  # a path short enough for a socket, only ours to enter
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._socket_path()))
        listener.listen(16)
        self._socket = listener
        threading.Thread(target=self._accept, args=(listener,), name="bucle-reception", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="bucle-push", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
            connection.settimeout(_LONGEST_SECONDS)  # for one line either way; between them checks may take what they take
            with connection.makefile("rb") as reader:
                request = reader.readline(_LONGEST_REQUEST)
            push, updates = self._understand(request)
            if push is None:
                return
            try:
                for line in self._receive(push, updates):
                    connection.sendall(line.encode() + b"\n")
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                raise
            except Exception:
                _log.exception("a push to %s", push.repository.project)
                connection.sendall(b"bucle: something went wrong on the server; the push is kept, see `bucle logs`\n")

    def _understand(self, request: bytes) -> tuple[Push | None, list[RefUpdate]]:
        """A secret counts once: whoever learns it later can do nothing with it."""
        try:
            document = json.loads(request)
            secret, updates = str(document["secret"]), [RefUpdate(*map(str, update)) for update in document["updates"]]
        except (ValueError, KeyError, TypeError):
            return None, []
        with self._guard:
            known = next((each for each in self._pushes if hmac.compare_digest(each.encode(), secret.encode())), "")
            return self._pushes.pop(known, None), updates

    def _socket_path(self) -> Path:
        if self._folder is None:
            raise RuntimeError("nobody is listening yet")
        return self._folder / "hook"

    def _hooks(self) -> Path:
        folder = self._home.folder("git-hooks")
        for name in ("pre-receive", "post-receive"):
            file = folder / name
            if not file.is_file() or file.read_text("utf-8") != _HOOK:
                file.write_text(_HOOK, "utf-8")
            file.chmod(0o700)
        return folder


def _settings(values: dict[str, str]) -> dict[str, str]:
    """git reads settings from the environment; a repository's own file cannot undo them."""
    entries = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (key, value) in enumerate(values.items()):
        entries |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return entries
