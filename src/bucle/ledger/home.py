"""A home: one ledger, one artifact folder, one clock, held by one process at a time."""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bucle.ledger.errors import HomeBusy, HomeUnfit
from bucle.ledger.sqlite import Durability, explained
from bucle.ledger.transactions import Ledger

_MOUNTS = Path("/proc/mounts")
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs"}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the process that holds a home's lock answers HTTP."""

    url: str
    pid: int


class Home:
    """An open home. Only the process that holds it may write; `Home.open` takes the lock, `close` gives it back."""

    def __init__(self, path: Path, ledger: Ledger, lock: int) -> None:
        self.path = path
        self.ledger = ledger
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path, *, replay_from: datetime | None = None, durability: Durability | None = None) -> "Home":
        """Take the lock of the home at `path` (made if it is not there) and open its ledger.

        `replay_from` gives a home that is made now a replay clock. `durability` is kept by the home: "process" (a new home's)
        survives kill -9, "power" also a loss of power; None is what the home was told before. Raises `ledger/home-busy`,
        `ledger/home-unfit`, `ledger/home-newer`.
        """
        path = path.absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeUnfit(path=path, reason=error.strerror or "it cannot be written") from error
        try:
            _take(lock, path)
            _refuse_network_file_system(path)
            return cls(path, Ledger(path / "ledger.db", durability=durability, replay_from=replay_from), lock)
        except BaseException as error:
            os.close(lock)
            reason = explained(error, path / "ledger.db")
            if reason is error:
                raise
            raise reason from error

    def folder(self, name: str) -> Path:
        """Return the home's folder of that name, made if it is not there."""
        folder = self.path / name
        folder.mkdir(exist_ok=True)
        return folder

    def announce(self, url: str) -> None:
        """Say where this process answers, for other processes that want this home."""
        temporary = self.path / "server.json.new"
        temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}), "utf-8")
        temporary.replace(self.path / "server.json")

    def close(self) -> None:
        """Close the ledger and give the lock back; closing again does nothing."""
        if self._lock is None:
            return
        (self.path / "server.json").unlink(missing_ok=True)
        self.ledger.close()
        os.close(self._lock)
        self._lock = None


def find_server(path: Path) -> ServerAddress | None:
    """Return the address of the server that holds the home at `path` now, or None."""
    try:
        lock = os.open(path / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _announced(path, lock)
    else:
        return None
    finally:
        os.close(lock)


def _announced(path: Path, lock: int) -> ServerAddress | None:
    """Return the address that the holder announced; a killed server leaves one behind that is not the holder's."""
    try:
        document = json.loads((path / "server.json").read_text("utf-8"))
        address = ServerAddress(document["url"], document["pid"])
    except (OSError, ValueError, KeyError):
        return None
    return address if str(address.pid) == _holder(lock) else None


def _take(lock: int, path: Path) -> None:
    """Take the lock; a process that only looks whether it is held (`find_server`) is waited for."""
    for pause in (0.002, 0.01, 0.05, 0.0):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            time.sleep(pause)
    else:
        raise HomeBusy(path=path, pid=_holder(lock) or "unknown")
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _holder(lock: int) -> str:
    return os.pread(lock, 32, 0).decode("ascii", "replace").strip()


def _refuse_network_file_system(path: Path) -> None:
    """SQLite's locks are not reliable there. Linux only: elsewhere there is no /proc/mounts and nothing is refused."""
    try:
        mounts = [_mount(line) for line in _MOUNTS.read_text("utf-8").splitlines()]
    except OSError:
        return
    inside = [(point, kind) for point, kind in mounts if path.is_relative_to(point)]
    kind = max(inside, key=lambda mount: len(mount[0]), default=("", ""))[1]
    if kind in _NETWORK_FILE_SYSTEMS:
        raise HomeUnfit(path=path, reason=f"it lies on a network file system ({kind})")


def _mount(line: str) -> tuple[str, str]:
    """Return mount point and kind; the kernel writes a space in a path as \\040."""
    fields = line.split()
    return fields[1].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "replace"), fields[2]
