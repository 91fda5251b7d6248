"""What the holder of a home and the child that runs a project's views say to each other: materialize, join, make a frame."""

import msgspec

from bucle.data import Snapshot


class WantedView(msgspec.Struct, frozen=True):
    """A view whose news are wanted: what became known after `since_us`, or everything that counts at `until_us` if None."""

    name: str
    since_us: int | None
    until_us: int


class ExtractRequest(msgspec.Struct, frozen=True):
    """Asks a child for the news of views up to the snapshot's as-of, which may lie ahead of what is to be readable now."""

    snapshot: Snapshot
    views: tuple[WantedView, ...]


class ExtractedRow(msgspec.Struct, frozen=True, array_like=True):
    """A row of a view by function, see `OnlineRow`; not to be readable before `known_us`."""

    known_us: int
    key: str
    event_us: int
    created_us: int
    tie: int
    content: bytes


class ExtractedValue(msgspec.Struct, frozen=True, array_like=True):
    """A value of a window's column: it counts for its entity while enter <= t < leave."""

    enter_us: int
    leave_us: int
    key: str
    column: str
    value: float


class ViewExtract(msgspec.Struct, frozen=True):
    """The news of one view in the order of becoming known; `read` is how many rows of the offline store were looked at."""

    name: str
    digest: str
    features: tuple[str, ...]
    read: int
    rows: tuple[ExtractedRow, ...] = ()
    values: tuple[ExtractedValue, ...] = ()


class Extract(msgspec.Struct, frozen=True):
    """The answer to an `ExtractRequest`."""

    views: tuple[ViewExtract, ...]


class JoinRequest(msgspec.Struct, frozen=True):
    """Asks a child to join views to the rows of a Parquet artifact, as of the moments in its column `timestamp`."""

    snapshot: Snapshot
    views: tuple[str, ...]
    rows: str
    timestamp: str


class JoinAnswer(msgspec.Struct, frozen=True):
    """The joined rows as a Parquet artifact."""

    artifact: str
    rows: int
    features: tuple[str, ...]


class FrameRequest(msgspec.Struct, frozen=True):
    """Asks a child for a frame of a training set; instants as ISO 8601."""

    snapshot: Snapshot
    training_set: str
    start: str | None = None
    end: str | None = None
    seed: int = 0


class FrameAnswer(msgspec.Struct, frozen=True):
    """A packed frame as an artifact (`TrainingFrame.unpack`)."""

    artifact: str
    rows: int


class ColumnsRequest(msgspec.Struct, frozen=True):
    """Asks a child which columns each source of the snapshot has, and which features each view of them gives."""

    snapshot: Snapshot


class ColumnsAnswer(msgspec.Struct, frozen=True):
    """Columns by source, features by view; a view whose source has no version yet is not in it."""

    sources: dict[str, tuple[str, ...]]
    views: dict[str, tuple[str, ...]]
