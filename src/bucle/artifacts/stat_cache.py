"""Remembers the id of a file that was stored, so that an unchanged file is not read again."""

import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec
from blake3 import blake3

_RACY_NS = 2_000_000_000


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    id: str


class StatCache:
    """One small file for each path, replaced atomically: any number of processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, path: Path, stat: os.stat_result) -> str | None:
        """Return the id that the file had when it was in exactly this state, or None."""
        try:
            entry = msgspec.json.decode(self._file(path).read_bytes(), type=_Entry)
        except (OSError, msgspec.DecodeError):
            return None
        return entry.id if entry == _entry(path, stat, entry.id) else None

    def remember(self, path: Path, stat: os.stat_result, id: str) -> None:
        """Keep the id of the file in this state, unless it changed so lately that it may change again within a tick.

        Where it cannot be kept (a full disk) the file is read again next time.
        """
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) < _RACY_NS:
            return
        file = self._file(path)
        temporary = file.with_name(f"{file.name}.{os.getpid()}.{time.monotonic_ns()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(_entry(path, stat, id)))
            temporary.replace(file)
        except OSError:
            with suppress(OSError):
                temporary.unlink()

    def _file(self, path: Path) -> Path:
        name = blake3(os.fsencode(path.absolute())).hexdigest(length=16)
        return self._folder / name[:2] / name[2:]


def _entry(path: Path, stat: os.stat_result, id: str) -> _Entry:
    return _Entry(str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, id)
