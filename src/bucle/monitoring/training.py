"""Runs in a child: the reference of a model version from the training frame that it was fitted on."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bucle.data import ColumnProfile, Profile
from bucle.monitoring.reference import SIZES, ColumnReference, Reference

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from bucle.artifacts import ArtifactStore
    from bucle.features import TrainingFrame
    from bucle.runtimes import Child


class FrameFiles(msgspec.Struct, frozen=True):
    """The artifacts of a stored training frame, by file name."""

    files: dict[str, str]


class ReferenceOrder(msgspec.Struct, frozen=True):
    """Profile the inputs `columns` of what a model was fitted on, in windows of this length.

    `frames` are those of its run; the rows that it was judged by begin at `judged_from_us`, what it learned from lies before.
    """

    frames: tuple[FrameFiles, ...]
    columns: tuple[str, ...]
    judged_from_us: int | None
    window_us: int


class ReferenceMade(msgspec.Struct, frozen=True):
    """The artifact id of the reference, None when no frame fits."""

    reference: str | None


def make_reference(order: ReferenceOrder, child: "Child") -> ReferenceMade:
    """Profile a training frame and keep the result as an artifact."""
    import polars as pl

    from bucle.artifacts import ArtifactStore

    store = ArtifactStore(child.artifacts)
    frames = [_load(store, each) for each in order.frames]
    fitting = [frame for frame in frames if _was_learned_from(frame, order)]
    if not fitting:
        return ReferenceMade(None)
    frame = max(fitting, key=len)
    moments = frame.times.cast(pl.Datetime("us")).to_physical()
    reference = profile_training(frame.to_polars().select(order.columns), moments, order.window_us)
    return ReferenceMade(store.put_json(reference))


def _load(store: "ArtifactStore", stored: FrameFiles) -> "TrainingFrame":
    from bucle.features import TrainingFrame

    with tempfile.TemporaryDirectory() as folder:
        for name, artifact in stored.files.items():
            (Path(folder) / name).symlink_to(store.path(artifact))
        return TrainingFrame.load(Path(folder))


def _was_learned_from(frame: "TrainingFrame", order: ReferenceOrder) -> bool:
    if not set(order.columns) <= {column.name for column in frame.columns} or not len(frame):
        return False
    last: Any = frame.times.dt.epoch("us").max()
    return order.judged_from_us is None or bool(last < order.judged_from_us)


def profile_training(table: "pl.DataFrame", moments: "pl.Series", window_us: int) -> Reference:
    """Return the reference of a table whose rows happened at `moments`, microseconds since 1970."""
    from bucle.data import profile_frame

    whole = profile_frame(table)
    windows = (moments // window_us).alias("window of training")
    parts = table.with_columns(windows).partition_by(windows.name, include_key=False, maintain_order=True)
    days = [profile_frame(part, whole) for part in parts]
    columns = tuple(_column(name, whole.columns[name], days) for name in table.columns)
    return Reference(whole.rows, len(days), window_us, columns)


def _column(name: str, whole: ColumnProfile, days: Sequence[Profile]) -> ColumnReference:
    profiles = [day.columns[name] for day in days]
    large = [profile.null_share for profile in profiles if profile.rows >= SIZES[0]]
    return ColumnReference(name, whole, max(large, default=whole.null_share), _distances(whole, profiles))


def _distances(whole: ColumnProfile, days: Sequence[ColumnProfile]) -> tuple[tuple[float, ...], ...]:
    """Return the sorted distances of days, each drawn anew at each size, so that like is compared with like.

    The draws are seeded by the data's shape alone: the same frame gives the same reference.
    """
    import numpy as np

    from bucle.data import psi

    generator = np.random.default_rng([whole.rows, len(days)])
    held = [day for day in days if day.rows]
    return tuple(tuple(sorted(round(psi(whole, _drawn(generator, day, size)), 6) for day in held)) for size in SIZES)


def _drawn(generator: "np.random.Generator", day: ColumnProfile, size: int) -> ColumnProfile:
    import numpy as np

    shares = np.array([*day.counts, day.nulls], dtype=np.float64)
    *counts, nulls = generator.multinomial(size, shares / shares.sum()).tolist()
    return msgspec.structs.replace(day, counts=tuple(counts), nulls=nulls, unseen=0)
