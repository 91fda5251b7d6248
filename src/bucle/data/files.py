"""Raw files: which ones a source's location means, and their digests, hashed again only when they seem to have changed."""

import glob
import stat
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from bucle.data.errors import FilesChanged, NoFiles, UnknownFormat, UnreadableFile
from bucle.data.manifests import RawFile
from bucle.project import digest_of

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}
_RACY_NS = 2_000_000_000
"""A file younger than this when it was hashed may change again within its time stamp's grain: its digest is not kept."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file system says of a file: as long as it says the same, the file is taken to be the same."""

    path: str
    size: int
    mtime_ns: int
    inode: int


class StatCache:
    """Digests of files by their stamps, for the life of a process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._digests: dict[Stamp, str] = {}
        self._turn = threading.Lock()

    def digest(self, stamp: Stamp) -> str:
        """Return the BLAKE3 hex digest of the file's content."""
        known = self._digests.get(stamp)
        if known is not None:
            return known
        began = time.time_ns()
        digest = _hashed(stamp)
        if began - stamp.mtime_ns > _RACY_NS:
            with self._turn:
                self._digests[stamp] = digest
        return digest


def find_files(location: str, bases: Sequence[Path], source: str, where: str | None = None) -> tuple[Path, list[Stamp]]:
    """Return the first base under which the location (a glob) matches files, and their stamps by path.

    An absolute location needs no base. Raises `data/no-files`, `data/unreadable-file`.
    """
    for base in bases:
        found = glob.glob(str(base / location), recursive=True)  # noqa: PTH207 - a location may be absolute
        stamps = [stamp for path in sorted(found) if (stamp := _stamp(path)) is not None]
        if stamps:
            return base, stamps
    looked = ", ".join(str(base) for base in dict.fromkeys(bases))
    raise NoFiles(location=location, name=source, base=looked, where=where)


@dataclass(frozen=True, slots=True)
class RawState:
    """The raw files of a source as they lie there at one moment; `digest` is that of their names and contents, in order."""

    base: Path
    stamps: tuple[Stamp, ...]
    files: tuple[RawFile, ...]
    digest: str

    @property
    def paths(self) -> list[str]:
        """The files' paths on this machine."""
        return [stamp.path for stamp in self.stamps]


def read_raw(base: Path, stamps: Sequence[Stamp], cache: StatCache) -> RawState:
    """Return the state of raw files, named relative to `base` where they lie under it.

    Raises `data/unreadable-file`, and `data/files-changed` for one that has gone.
    """
    files = tuple(RawFile(_relative(stamp.path, base), stamp.size, cache.digest(stamp)) for stamp in stamps)
    return RawState(base, tuple(stamps), files, digest_of([(file.path, file.digest) for file in files]))


def find_change(raw: RawState) -> str | None:
    """Return the first file that is no longer what was hashed, None if all still are: the bytes count, not the times alone."""
    afresh = StatCache()
    for stamp, file in zip(raw.stamps, raw.files, strict=True):
        now = _stamp(stamp.path)
        if now is None or now != stamp or afresh.digest(now) != file.digest:
            return stamp.path
    return None


def format_of(path: str) -> str:
    """Return "parquet" or "csv" by a file's name. Raises `data/unknown-format`."""
    lower = path.lower()
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if lower.endswith(suffix):
            return FORMATS[suffix]
    raise UnknownFormat(file=path, where=path)


def _stamp(path: str) -> Stamp | None:
    """Return the stamp of a file, None for what is none: a folder, or what has gone since it was listed."""
    try:
        found = Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UnreadableFile(file=path, reason=error.strerror or type(error).__name__, where=path) from error
    return Stamp(path, found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _hashed(stamp: Stamp) -> str:
    try:
        return blake3(max_threads=blake3.AUTO).update_mmap(stamp.path).hexdigest() if stamp.size else blake3(b"").hexdigest()
    except FileNotFoundError as error:
        raise FilesChanged(file=stamp.path, where=stamp.path) from error
    except OSError as error:
        raise UnreadableFile(file=stamp.path, reason=error.strerror or type(error).__name__, where=stamp.path) from error


def _relative(path: str, base: Path) -> str:
    return str(Path(path).relative_to(base)) if Path(path).is_relative_to(base) else path
