"""The store: bytes on disk under the hash of their content, never changed, written all or not at all."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any, TypeVar

import msgspec
from blake3 import blake3

from bucle.artifacts.errors import ArtifactDiskFull, CorruptArtifact, MissingArtifact, UnreadableFile
from bucle.artifacts.identity import check_id, file_id
from bucle.artifacts.stat_cache import StatCache
from bucle.ledger import content_id

T = TypeVar("T")
_CHUNK = 1 << 20


class ArtifactStore:
    """A folder of content-addressed files that any number of processes may read and write at once.

    What `put_*` returns is on disk and survives kill -9 and loss of power. A stored artifact that nothing refers to is
    removed by `collect_garbage` when its time of grace is over; putting it again begins that time afresh.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._objects = root / "objects"
        self._new = root / "new"
        self._damaged = root / "damaged"
        for folder in (self._objects, self._new):
            folder.mkdir(parents=True, exist_ok=True)
        self._stat_cache = StatCache(root / "stat")
        self._verified: dict[str, tuple[int, int]] = {}

    def put_bytes(self, data: bytes) -> str:
        """Store bytes and return their id."""
        id = content_id(data)
        if not self._touch(id):
            with self._writing() as (temporary, file):
                file.write(data)
                self._keep(temporary, file, id)
        return id

    def put_json(self, value: Any) -> str:
        """Store a struct, dataclass or builtin as JSON with sorted keys, so that equal values have equal ids."""
        return self.put_bytes(msgspec.json.encode(value, order="sorted"))

    def put_file(self, path: Path) -> str:
        """Store a copy of a file and return its id; a file that has not changed since is not read again.

        Raises `artifacts/unreadable-file`.
        """
        try:
            stat = path.stat()
            if not S_ISREG(stat.st_mode):
                raise UnreadableFile(path=path, reason="it is not a file", where=str(path))
            known = self._stat_cache.find(path, stat)
            if known is not None and self._touch(known):
                return known
            with path.open("rb") as source:
                id = self._copy(source)
        except OSError as error:
            raise UnreadableFile(path=path, reason=error.strerror or str(error), where=str(path)) from error
        self._stat_cache.remember(path, stat, id)
        return id

    def get_bytes(self, id: str) -> bytes:
        """Return the bytes of an id, verified. Raises `artifacts/missing`, `artifacts/corrupt`, `artifacts/bad-id`."""
        path = self._file(id)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise self._absent(id) from error
        found = content_id(data)
        if found != id:
            raise self._set_aside(id, found)
        return data

    def get_json(self, id: str, type: type[T]) -> T:
        """Return stored JSON read as `type`, verified. Raises what `get_bytes` does."""
        return msgspec.json.decode(self.get_bytes(id), type=type)

    def path(self, id: str) -> Path:
        """Return the file of an id, to be read and never written; verified once by each store object.

        Raises `artifacts/missing`, `artifacts/corrupt`, `artifacts/bad-id`.
        """
        path = self._file(id)
        try:
            stat = path.stat()
            if self._verified.get(id) != (stat.st_ino, stat.st_size):
                found = file_id(path)
                if found != id:
                    raise self._set_aside(id, found)
                self._verified[id] = (stat.st_ino, stat.st_size)
        except FileNotFoundError as error:
            raise self._absent(id) from error
        return path

    def open(self, id: str) -> IO[bytes]:
        """Open the bytes of an id for reading. Raises what `path` does."""
        return self.path(id).open("rb")

    def open_unverified(self, id: str) -> IO[bytes]:
        """Open the bytes of an id without reading them first. Raises `artifacts/missing`, `artifacts/bad-id`."""
        try:
            return self._file(id).open("rb")
        except FileNotFoundError as error:
            raise self._absent(id) from error

    def exists(self, id: str) -> bool:
        """Whether the store holds the bytes of an id."""
        return self._file(id).is_file()

    def size(self, id: str) -> int:
        """Return how many bytes an id has. Raises `artifacts/missing`, `artifacts/bad-id`."""
        try:
            return self._file(id).stat().st_size
        except FileNotFoundError as error:
            raise self._absent(id) from error

    def stored(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield the id and state of everything that is stored."""
        for folder in sorted(self._objects.iterdir()):
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        yield f"blake3:{folder.name}{entry.name}", entry.stat()

    def remove_older(self, id: str, moment: float) -> int | None:
        """Remove an artifact unless it was put after `moment` (seconds since 1970); return its size if it was removed."""
        path = self._file(id)
        with self._lock(fcntl.LOCK_EX), contextlib.suppress(FileNotFoundError):
            stat = path.stat()
            if stat.st_mtime < moment:
                path.unlink()
                self._verified.pop(id, None)
                return stat.st_size
        return None

    def remove_unfinished(self, moment: float) -> int:
        """Remove what killed writers left before `moment`; return how many files."""
        count = 0
        for path in self._new.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < moment:
                    path.unlink()
                    count += 1
        return count

    def _file(self, id: str) -> Path:
        digits = check_id(id).removeprefix("blake3:")
        return self._objects / digits[:2] / digits[2:]

    def _set_aside(self, id: str, found: str) -> CorruptArtifact:
        """Take damaged bytes out of the way, so that putting the same bytes again does store them."""
        path = self._file(id)
        self._damaged.mkdir(exist_ok=True)
        with self._lock(fcntl.LOCK_EX), contextlib.suppress(FileNotFoundError):
            if file_id(path) != id:  # nobody has put it again meanwhile
                path.rename(self._damaged / id.removeprefix("blake3:"))
        return CorruptArtifact(id=id, found=found, path=path)

    def _absent(self, id: str) -> MissingArtifact | CorruptArtifact:
        damaged = self._damaged / check_id(id).removeprefix("blake3:")
        if damaged.is_file():
            return CorruptArtifact(id=id, found=file_id(damaged), path=self._file(id))
        return MissingArtifact(id=id)

    def _touch(self, id: str) -> bool:
        """Begin the time of grace afresh for an artifact that is there. The lock keeps a collector from coming between."""
        with self._lock(fcntl.LOCK_SH):
            try:
                os.utime(self._file(id))
            except FileNotFoundError:
                return False
            return True

    def _copy(self, source: IO[bytes]) -> str:
        with self._writing() as (temporary, file):
            hasher = blake3(max_threads=blake3.AUTO)
            while chunk := source.read(_CHUNK):
                hasher.update(chunk)
                file.write(chunk)
            id = "blake3:" + hasher.hexdigest()
            if not self._touch(id):
                self._keep(temporary, file, id)
        return id

    @contextlib.contextmanager
    def _writing(self) -> Iterator[tuple[Path, IO[bytes]]]:
        temporary = self._new / f"{os.getpid()}-{time.monotonic_ns()}-{os.urandom(4).hex()}"
        try:
            with temporary.open("xb") as file:
                yield temporary, file
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ArtifactDiskFull(path=self.root) from error
            raise
        finally:
            temporary.unlink(missing_ok=True)

    def _keep(self, temporary: Path, file: IO[bytes], id: str) -> None:
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
        target = self._file(id)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _sync_folder(self._objects)
        with self._lock(fcntl.LOCK_SH):
            temporary.rename(target)
        _sync_folder(target.parent)
        (self._damaged / id.removeprefix("blake3:")).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
