"""What project code reads while a step runs beside its inputs: files that it opens, hosts that it connects to (S-06).

Seen are the interpreter's own audit events (`open`, `sqlite3.connect`, `socket.*`), and what Polars, Arrow and DuckDB, which
open files natively, are given (`native.py`). Programs that are started, and libraries that only read natively, are noted as
unseen, with the files that a program's arguments name. Not noted: imports.
"""

import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import msgspec

from bucle.pipelines.native import BLIND, REMOTE, watching

MOST = 200
"""Readings that are kept of one attempt."""

_CODE = (".py", ".pyc", ".pyi", ".so", ".pth")
_SETTINGS = ("bucle.toml", "requirements.lock", "pyproject.toml")
_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/run")
_EVENTS = ("open", "socket.", "sqlite3.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")
_READS_NOTHING = ("lscpu", "nproc", "sysctl", "uname", "ldconfig")
"""Programs that libraries ask about the machine."""

Kind = Literal["file", "network", "unseen"]


class Read(msgspec.Struct, frozen=True):
    """Something that a step read: a file (relative to the project if it lies there) or a host with its port.

    An unseen one is the name of a program or a library: what that read, if anything, could not be seen.

    `where` is the line of the project's code that led to it, None if a library's thread did it.
    """

    kind: Kind
    name: str
    where: str | None


def data_name(text: str, root: str, own: tuple[str, ...] = ()) -> str | None:
    """Return the name of a file if it is data: in the project all but code and settings, elsewhere what no system put there.

    `root` is the project's real folder; `own` are prefixes of paths that bucle reads itself.
    """
    if text.endswith(_CODE):
        return None
    path = os.path.realpath(text)
    if path.startswith(own):
        return None
    if not path.startswith(root + os.sep):
        return None if path.startswith(_ignored()) else path
    name = path[len(root) + 1 :]
    hidden = any(part.startswith(".") for part in Path(name).parent.parts)
    return None if hidden or name in _SETTINGS else name


class Recorder:
    """Collects readings of one attempt; `keep` are folders of bucle's own, in which a step may read what it likes."""

    def __init__(self, root: Path, keep: tuple[Path, ...], *, only_from_project: bool) -> None:
        self._root = _real(root)
        self._own = tuple(_real(each) + os.sep for each in keep)
        self._only_from_project = only_from_project
        self._seen: set[object] = set()
        self._resolved: set[object] = set()
        self._found: dict[tuple[Kind, str], str | None] = {}

    def opened(self, path: object, flags: int = os.O_RDONLY) -> None:
        """Note that a path is about to be opened, if it is to be read."""
        writes = flags & os.O_ACCMODE == os.O_WRONLY or flags & (os.O_TRUNC | getattr(os, "O_DIRECTORY", 0))
        if writes or not isinstance(path, str | bytes | os.PathLike) or path in self._seen:
            return
        self._seen.add(path)
        name = data_name(os.fsdecode(path), self._root, self._own)
        if name is not None:
            self._note("file", name)

    def given(self, source: object) -> None:
        """Note what a reading function was given: a path, a pattern, an address, or several of them."""
        if isinstance(source, str) and source.startswith(REMOTE):
            scheme, _, rest = source.partition("://")
            self._note("network", f"{scheme}://{rest.partition('/')[0]}")
        elif isinstance(source, str | os.PathLike):
            self.opened(source)
        elif isinstance(source, list | tuple):
            for each in source:
                self.given(each)

    def looked_up(self, host: object, port: object) -> None:
        """Note the name of a host that is about to be connected to."""
        if isinstance(host, str) and port is not None:
            self._resolved.add(port)
            self._note("network", f"{host}:{port}")

    def connected(self, address: object) -> None:
        """Note a connection by address, unless it follows the look-up of a name."""
        if isinstance(address, tuple) and len(address) >= 2 and address[1] not in self._resolved:
            self._note("network", f"{address[0]}:{address[1]}")

    def started(self, program: object, arguments: object = ()) -> None:
        """Note a program that the project's code starts, whose readings nobody sees, and the files that its arguments name."""
        given = arguments.split() if isinstance(arguments, str) else arguments
        words = given if isinstance(given, list | tuple) else ()
        name = Path(os.fsdecode(program) if isinstance(program, str | bytes | os.PathLike) else "another process").name
        if name not in _READS_NOTHING and self._where() is not None:
            self.unseen(name)
            for word in words:
                if isinstance(word, str) and os.path.isfile(word):  # noqa: PTH113 - most words are no paths
                    self.opened(word)

    def unseen(self, name: str) -> None:
        """Note that something may read in a way that cannot be seen."""
        self._note("unseen", name)

    def reads(self) -> tuple[Read, ...]:
        """Return what was read, in order; what was asked for but is not there was not read."""
        return tuple(
            Read(kind, name, where) for (kind, name), where in self._found.items() if kind != "file" or self._exists(name)
        )

    def _note(self, kind: Kind, name: str) -> None:
        if (kind, name) in self._found or len(self._found) >= MOST:
            return
        where = self._where()
        if where is not None or not self._only_from_project:
            self._found[kind, name] = where

    def _where(self) -> str | None:
        """Return file and line of the nearest frame of the project's code."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            file = frame.f_code.co_filename
            if file.startswith(self._root + os.sep) and f"{os.sep}." not in file[len(self._root) :]:
                return f"{file[len(self._root) + 1 :]}:{frame.f_lineno}"
            frame = frame.f_back
        return None

    def _exists(self, name: str) -> bool:
        path = os.path.join(self._root, name)  # noqa: PTH118 - an absolute name stays as it is
        return os.path.exists(path) or any(sign in name for sign in "*?[")  # noqa: PTH110


_recorder: Recorder | None = None


@contextmanager
def recording(root: Path, keep: tuple[Path, ...], *, only_from_project: bool) -> Iterator[Recorder]:
    """Record what is read within. One at a time in a process; hooks stay, and cost next to nothing outside of it.

    `only_from_project` ignores what no line of the project's code led to: for steps of bucle's own, which call project code.
    """
    global _recorder
    _install()
    recorder, before = Recorder(root, keep, only_from_project=only_from_project), _recorder
    _recorder = recorder
    try:
        with watching(lambda: _recorder, _real(root)):
            yield recorder
        for name in BLIND if not only_from_project else ():
            if name in sys.modules:
                recorder.unseen(name)
    finally:
        _recorder = before


@functools.cache
def _install() -> None:
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    """Called for every audit event of the process, so it decides fast and never raises."""
    recorder = _recorder
    if recorder is None or not event.startswith(_EVENTS):
        return
    try:
        if event == "open":
            recorder.opened(arguments[0], arguments[2])
        elif event == "socket.connect":
            recorder.connected(arguments[1])
        elif event == "socket.getaddrinfo":
            recorder.looked_up(arguments[0], arguments[1])
        elif event == "sqlite3.connect":
            recorder.opened(arguments[0])
        elif event == "subprocess.Popen":
            recorder.started(arguments[0], arguments[1])
        elif event == "os.system":
            recorder.started("sh", os.fsdecode(arguments[0]))
        elif event in ("os.exec", "os.posix_spawn"):
            recorder.started(arguments[0], arguments[1])
        elif event in ("os.fork", "os.forkpty"):
            recorder.started(None)
    except (OSError, ValueError, TypeError):  # a path that is none: whoever opens it will be told
        return


@functools.lru_cache(maxsize=64)
def _real(folder: Path) -> str:
    return os.path.realpath(folder)


@functools.cache
def _ignored() -> tuple[str, ...]:
    """Folders of the system, the interpreter, bucle, temporary files, and hidden ones of the user's: no project data."""
    home, own = os.path.expanduser("~"), Path(__file__).parent.parent  # noqa: PTH111
    folders = (*_SYSTEM, sys.prefix, sys.base_prefix, own, tempfile.gettempdir(), f"{home}/.cache", f"{home}/.config")
    return tuple(dict.fromkeys(os.path.realpath(each) + os.sep for each in folders))
