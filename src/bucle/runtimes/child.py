"""The child process: runs a project's code at the parent's request. Started by `Runner`, never by hand.

Nothing heavy is imported before the first call needs it.
"""

import contextlib
import importlib
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from bucle.errors import BucleError
from bucle.runtimes.wire import Call, Channel, CodeFailure, HouseFailure, Kind, Limits, ProtocolBroken, Setup

if TYPE_CHECKING:
    from bucle.project import Definitions


class Refused(BaseException):
    """The parent would not answer; unwinds the call past `except Exception` of the project's code."""


class Line:
    """A child's line to its parent. One question is under way at a time: the next one waits for its answer."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._owed = False
        self._answer = b""

    def post(self, message: bytes) -> Callable[[], bytes]:
        """Ask, and go on; what this returns waits for the answer, which is lost once something else is asked."""
        self.settle()
        self._channel.send(Kind.ASK, message)
        self._owed = True
        return self._take

    def settle(self) -> None:
        """Wait for the answer that is still under way, if any."""
        if not self._owed:
            return
        self._owed = False
        received = self._channel.receive()
        if received is None:
            raise Refused("the parent is gone")
        kind, self._answer = received
        if kind is Kind.REFUSE:
            raise Refused(self._answer.decode("utf-8", "replace"))
        if kind is not Kind.ANSWER:
            raise ProtocolBroken(f"{kind.name} instead of an answer")

    def _take(self) -> bytes:
        self.settle()
        return self._answer


class Child:
    """What an entry point gets: the project's folder, the artifact folder, and a line to the parent."""

    def __init__(self, root: Path, artifacts: Path, post: Callable[[bytes], Callable[[], bytes]]) -> None:
        self.root = root
        self.artifacts = artifacts
        self.post = post
        self._definitions: Definitions | None = None

    def ask(self, message: bytes) -> bytes:
        """Ask the parent and wait for its answer, which its `answer` function gives."""
        return self.post(message)()

    def definitions(self) -> "Definitions":
        """Return the project's definitions; the project is imported at the first call. Raises what `load_definitions` does."""
        if self._definitions is None:
            from bucle.project import load_definitions, load_project_file

            self._definitions = load_definitions(self.root, load_project_file(self.root))
        return self._definitions

    @contextlib.contextmanager
    def blaming(self, where: str) -> Iterator[None]:
        """Let failures within that show no line of the project (a lazy expression's) count as those of "file:line"."""
        try:
            yield
        except Exception as error:
            if not hasattr(error, "bucle_place"):
                error.bucle_place = where  # type: ignore[attr-defined]
            raise


def main(descriptor: int) -> None:
    """Serve calls on the inherited socket until the parent closes it."""
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor))
    received = channel.receive()
    if received is None or received[0] is not Kind.SETUP:
        return
    setup = msgspec.json.decode(received[1], type=Setup)
    die_with(setup.parent)
    _limit(setup.limits)
    line = Line(channel)
    child = Child(Path(setup.root), Path(setup.artifacts), line.post)
    for module in setup.preload:
        with contextlib.suppress(ImportError):  # a runtime need not have it
            importlib.import_module(module)
    while (received := channel.receive()) is not None:
        kind, body = received
        if kind is not Kind.CALL:
            raise ProtocolBroken(f"{kind.name} instead of a call")
        channel.send(*_handle(msgspec.json.decode(body, type=Call), child, line))


def _handle(call: Call, child: Child, line: Line) -> tuple[Kind, bytes]:
    with _output_to(call.log):
        kind, body = _outcome(call, child)
    with contextlib.suppress(Refused):  # the call has its end; the parent knows why it refused
        line.settle()
    return kind, body


def _outcome(call: Call, child: Child) -> tuple[Kind, bytes]:
    try:
        return Kind.RESULT, _run(call, child)
    except BucleError as error:
        traceback.print_exception(error)
        return Kind.HOUSE_FAILURE, msgspec.json.encode(_house_failure(error, child), enc_hook=str)
    except BaseException as error:
        traceback.print_exception(error)
        return Kind.CODE_FAILURE, msgspec.json.encode(_code_failure(error, child))


def _run(call: Call, child: Child) -> bytes:
    module, _, name = call.entry.partition(":")
    function = getattr(importlib.import_module(module), name)
    payload = msgspec.json.decode(call.payload, type=_payload_type(function))
    return msgspec.json.encode(function(payload, child))


def _payload_type(function: Callable[..., Any]) -> Any:
    """Only the first parameter's: the child's own annotation may name what only a type checker imports."""
    name = function.__code__.co_varnames[0]
    one = SimpleNamespace(__annotations__={name: function.__annotations__[name]})
    return get_type_hints(one, function.__globals__)[name]


def _house_failure(error: BucleError, child: Child) -> HouseFailure:
    return HouseFailure.of(error, error.where or _where(error, child))


def _code_failure(error: BaseException, child: Child) -> CodeFailure:
    from bucle.project import describe_exception

    return CodeFailure(describe_exception(error), _where(error, child))


def _where(error: BaseException, child: Child) -> str | None:
    from bucle.project import user_line

    return user_line(child.root, error) or getattr(error, "bucle_place", None)


@contextlib.contextmanager
def _output_to(log: str | None) -> Iterator[None]:
    """Send file descriptors 1 and 2 to the call's log, so that what libraries and grandchildren print goes there too."""
    if log is None:
        yield
        _flush()
        return
    before = os.dup(1), os.dup(2)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        _flush()
        for descriptor, old in zip((1, 2), before, strict=True):
            os.dup2(old, descriptor)
            os.close(old)
        os.close(target)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the project may have replaced or closed it
            stream.flush()


def _limit(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.open_files is not None:
        _lower(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, limits.cpu_seconds)
    if limits.memory_mb is not None:  # private writable memory: counts what is used, where RLIMIT_AS counts what is reserved
        _lower(resource.RLIMIT_DATA, limits.memory_mb << 20)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies. Linux only; elsewhere the closed socket ends the next wait."""
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
