"""Runs in a child: the reference of a model version from the training frame that it was fitted on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from bucle.data import ColumnProfile, Profile, profile_frame, psi
from bucle.monitoring.reference import SIZES, ColumnReference, Reference

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from bucle.runtimes import Child


class ReferenceOrder(msgspec.Struct, frozen=True):
    """Profile the inputs `columns` of the training frame of this artifact id in windows of this length."""

    frame: str
    columns: tuple[str, ...]
    window_us: int


class ReferenceMade(msgspec.Struct, frozen=True):
    """The artifact id of the reference."""

    reference: str


def make_reference(order: ReferenceOrder, child: "Child") -> ReferenceMade:
    """Profile a training frame and keep the result as an artifact."""
    import polars as pl

    from bucle.artifacts import ArtifactStore
    from bucle.features import TrainingFrame

    store = ArtifactStore(child.artifacts)
    frame = TrainingFrame.load(store.path(order.frame))
    table = frame.to_polars().select(order.columns)
    moments = pl.Series("moment", frame.times).cast(pl.Datetime("us")).to_physical()
    return ReferenceMade(store.put_json(profile_training(table, moments, order.window_us)))


def profile_training(table: "pl.DataFrame", moments: "pl.Series", window_us: int) -> Reference:
    """Return the reference of a table whose rows happened at `moments`, microseconds since 1970."""
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


def _distances(whole: ColumnProfile, days: Sequence[ColumnProfile]) -> dict[int, list[float]]:
    """Return the sorted distances of days, each drawn anew at each size, so that like is compared with like.

    The draws are seeded by the data's shape alone: the same frame gives the same reference.
    """
    import numpy as np

    generator = np.random.default_rng([whole.rows, len(days)])
    return {size: sorted(round(psi(whole, _drawn(generator, day, size)), 6) for day in days if day.rows) for size in SIZES}


def _drawn(generator: "np.random.Generator", day: ColumnProfile, size: int) -> ColumnProfile:
    import numpy as np

    shares = np.array([*day.counts, day.nulls], dtype=np.float64)
    *counts, nulls = generator.multinomial(size, shares / shares.sum()).tolist()
    return msgspec.structs.replace(day, counts=tuple(counts), nulls=nulls, unseen=0)
