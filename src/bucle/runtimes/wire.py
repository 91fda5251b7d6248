"""What parent and child say to each other: frames of a length, a kind and a body over a socket pair.

The parent sends one SETUP, then for each call a CALL; the child may ASK any number of times, each time taking ANSWER
or REFUSE before the next, and ends the call with RESULT, CODE_FAILURE or HOUSE_FAILURE. Anything else breaks the protocol.
"""

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgspec

from bucle.errors import CODES, BucleError, RemoteError
from bucle.messages import Phrase

LARGEST_BODY = 1 << 30
_HEAD = struct.Struct("!IB")
_AT_ONCE = 1 << 16
_LOOK_SECONDS = 1.0
_LOOK = struct.pack("@ll", 1, 0)


class Kind(IntEnum):
    """The kinds of frame."""

    SETUP = 1
    CALL = 2
    ANSWER = 3
    REFUSE = 4
    ASK = 5
    RESULT = 6
    CODE_FAILURE = 7
    HOUSE_FAILURE = 8


_KINDS = {int(kind): kind for kind in Kind}


class Limits(msgspec.Struct, frozen=True):
    """What a child may use: MiB of private memory, open files, seconds of CPU for its whole life; None leaves it open."""

    memory_mb: int | None = None
    open_files: int | None = 4096
    cpu_seconds: int | None = None


class Setup(msgspec.Struct, frozen=True):
    """What a child learns at its start."""

    root: str
    artifacts: str
    parent: int
    limits: Limits
    preload: tuple[str, ...]


class Call(msgspec.Struct, frozen=True):
    """Run `module:function(payload, child)`, with output to the file `log` (None: the runner's own log)."""

    entry: str
    log: str | None
    payload: msgspec.Raw


class CodeFailure(msgspec.Struct, frozen=True):
    """An exception that is not one of bucle's: what, and where in the project's files."""

    error: str
    where: str | None


class HouseFailure(msgspec.Struct, frozen=True):
    """One of bucle's coded errors, rendered and with the fields to render it again in another language."""

    code: str
    text: str
    where: str | None
    next: str
    status: int
    fields: dict[str, Any]
    phrases: dict[str, Phrase] = {}

    @classmethod
    def of(cls, error: BucleError, where: str | None) -> "HouseFailure":
        """Take an error apart, so that `error` can put it together on the other side."""
        phrases = {name: value for name, value in error.fields.items() if isinstance(value, Phrase)}
        fields = {name: value for name, value in error.fields.items() if name not in phrases}
        return cls(error.code, error.text, where, error.next_step, error.status, fields, phrases)

    def error(self) -> BucleError | RemoteError:
        """Return the error, or its words alone where an older or newer bucle in the runtime gives other fields."""
        kind = CODES.get(self.code)
        if kind is not None:
            with contextlib.suppress(Exception):
                found: BucleError = kind(where=self.where, **self.fields, **self.phrases)
                return found
        return RemoteError(self.code, self.text, self.where, self.next, self.status)


class ProtocolBroken(Exception):
    """The other side sent something that is not a frame."""


class Channel:
    """One end of the socket pair. Whoever waits on it looks every second whether the other side is `alive`.

    The end of a process does not always close its end of the line: what it forked may hold a copy.
    """

    def __init__(self, connection: socket.socket, alive: Callable[[], bool] = lambda: True) -> None:
        self._connection = connection
        self._alive = alive
        self._unread = bytearray()
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _LOOK)  # the kernel's, so that no read costs a poll
        self._patient = True

    def send(self, kind: Kind, body: bytes, deadline: float | None = None) -> None:
        """Send one frame. Raises OSError when the other side is gone, TimeoutError when it does not read until `deadline`."""
        self._patience(deadline)
        self._connection.sendall(_HEAD.pack(len(body), kind) + body)

    def receive(self, deadline: float | None = None) -> tuple[Kind, bytes] | None:
        """Return the next frame, None at the end. `deadline` is on `time.monotonic`; raises TimeoutError then."""
        head = self._take(_HEAD.size, deadline)
        if head is None:
            return None
        length, kind = _HEAD.unpack(head)
        if length > LARGEST_BODY or kind not in _KINDS:
            raise ProtocolBroken("a frame cannot be read")
        body = self._take(length, deadline)
        return None if body is None else (_KINDS[kind], body)

    def close(self) -> None:
        """Close this end."""
        self._connection.close()

    def _take(self, size: int, deadline: float | None) -> bytes | None:
        """Return the next `size` bytes, None at the end. A small frame comes with its head in one read."""
        while len(self._unread) < size:
            received = self._receive(max(_AT_ONCE, size - len(self._unread)), deadline)
            if not received:
                return None
            self._unread += received
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _receive(self, most: int, deadline: float | None) -> bytes:
        """Return what has come; nothing says that no more will come."""
        alive = True
        while True:
            following = time.monotonic() + _LOOK_SECONDS
            self._patience(None if deadline is None else min(deadline, following))
            try:
                return self._connection.recv(most, 0 if alive else socket.MSG_DONTWAIT)
            except (BlockingIOError, TimeoutError):
                if not alive:
                    return b""
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError from None
                alive = self._alive()  # if not, what it said with its last breath is read yet

    def _patience(self, deadline: float | None) -> None:
        if deadline is None and self._patient:
            return
        self._patient = deadline is None
        self._connection.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-6))
