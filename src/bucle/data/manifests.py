"""The manifest of a dataset version: its Parquet fragments by time, and small counts that spare reading them."""

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import msgspec

from bucle.artifacts import ArtifactStore
from bucle.data.sources import SourceSpec

HOUR_US = 3_600_000_000


class RawFile(msgspec.Struct, frozen=True):
    """A raw file that went into a version; `path` is relative to where the source's location starts."""

    path: str
    size: int
    digest: str


class Fragment(msgspec.Struct, frozen=True):
    """Cleaned rows of one stretch of time, sorted by timestamp, in one Parquet file.

    `settled_us` is the moment from which nothing in it is hidden any more: the latest of all its timestamps, created times and
    known_at moments. None if something stays hidden: rows without a created time, values whose moment is null.
    """

    partition: str
    artifact: str
    rows: int
    first_us: int
    last_us: int
    settled_us: int | None


class Column(msgspec.Struct, frozen=True):
    """A column of the cleaned rows and its Polars type."""

    name: str
    dtype: str


class Manifest(msgspec.Struct, frozen=True):
    """Everything about a version's rows but the rows. `counts[i]` rows became visible in the hour up to `hours[i]`.

    `undated` holds rows without a timestamp: no clock ever sees them. `rounded` counts, for each column of moments, values that
    had parts of a microsecond, which were cut off.
    """

    format: int
    spec: SourceSpec
    rows: int
    columns: tuple[Column, ...]
    fragments: tuple[Fragment, ...]
    undated: Fragment | None
    files: tuple[RawFile, ...]
    hours: tuple[int, ...]
    counts: tuple[int, ...]
    rounded: dict[str, int]


def rows_visible(manifest: Manifest, as_of_us: int) -> int:
    """Return how many rows a clock sees at `as_of_us`, counted up to its last full hour, without reading any Parquet."""
    hours, running = manifest.hours, _sums(manifest.counts)
    found = bisect_right(hours, as_of_us)
    return running[found - 1] if found else 0


def load_manifest(store: ArtifactStore, artifact: str) -> Manifest:
    """Return the manifest of that artifact id; immutable, therefore read once in a process."""
    return _load(store.root, artifact)


@lru_cache(maxsize=64)
def _load(root: Path, artifact: str) -> Manifest:
    return ArtifactStore(root).get_json(artifact, Manifest)


@lru_cache(maxsize=64)
def _sums(counts: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(accumulate(counts))
