"""Raw files: which ones a source's location means, and their digests, hashed again only when they seem to have changed."""

import glob
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from bucle.data.errors import NoFiles, UnknownFormat
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
        digest = blake3(max_threads=blake3.AUTO).update_mmap(stamp.path).hexdigest() if stamp.size else blake3(b"").hexdigest()
        if began - stamp.mtime_ns > _RACY_NS:
            with self._turn:
                self._digests[stamp] = digest
        return digest


def find_files(location: str, bases: Sequence[Path], source: str, where: str | None = None) -> tuple[Path, list[Stamp]]:
    """Return the first base under which the location (a glob) matches files, and their stamps by path.

    An absolute location needs no base. Raises `data/no-files`.
    """
    for base in bases:
        found = glob.glob(str(base / location), recursive=True)  # noqa: PTH207 - a location may be absolute
        stamps = [_stamp(path) for path in sorted(found) if Path(path).is_file()]
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
    """Return the state of raw files, named relative to `base` where they lie under it."""
    files = tuple(RawFile(_relative(stamp.path, base), stamp.size, cache.digest(stamp)) for stamp in stamps)
    return RawState(base, tuple(stamps), files, digest_of([(file.path, file.digest) for file in files]))


def format_of(path: str) -> str:
    """Return "parquet" or "csv" by a file's name. Raises `data/unknown-format`."""
    lower = path.lower()
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if lower.endswith(suffix):
            return FORMATS[suffix]
    raise UnknownFormat(file=path, where=path)


def _stamp(path: str) -> Stamp:
    stat = Path(path).stat()
    return Stamp(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


def _relative(path: str, base: Path) -> str:
    return str(Path(path).relative_to(base)) if Path(path).is_relative_to(base) else path
