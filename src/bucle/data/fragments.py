"""Cleaned rows as Parquet fragments by stretches of time, so that versions share what has not changed. Children only."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data.manifests import HOUR_US, Column, Fragment, Manifest, RawFile
from bucle.data.sources import SourceSpec

FORMAT = 1
"""The manifest's format; raise it when a reader of old manifests would misread new ones."""

_ROW_GROUP = 65_536
_LONG_SPAN_MONTHS = 240


def write_version(
    store: ArtifactStore, spec: SourceSpec, frame: pl.DataFrame, files: tuple[RawFile, ...], rounded: dict[str, int]
) -> tuple[str, Manifest]:
    """Store cleaned rows, sorted by timestamp, and their manifest; return its artifact id and itself."""
    dated = frame.filter(pl.col(spec.timestamp).is_not_null())
    undated = frame.filter(pl.col(spec.timestamp).is_null())
    hours, counts = _histogram(dated, spec)
    manifest = Manifest(
        format=FORMAT,
        spec=spec,
        rows=dated.height,
        columns=tuple(Column(name, str(kind)) for name, kind in frame.schema.items()),
        fragments=tuple(_fragment(store, spec, name, rows) for name, rows in _partitions(dated, spec.timestamp)),
        undated=_fragment(store, spec, "undated", undated) if undated.height else None,
        files=files,
        hours=hours,
        counts=counts,
        rounded=rounded,
    )
    return store.put_json(manifest), manifest


def scan_fragment(store: ArtifactStore, fragment: Fragment) -> pl.LazyFrame:
    """Return a fragment's rows, read when they are collected."""
    return pl.scan_parquet(store.path(fragment.artifact), glob=False)


def _partitions(frame: pl.DataFrame, timestamp: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Calendar months, or years for what spans more than twenty: boundaries that new rows do not move."""
    if frame.is_empty():
        return
    first, last = frame[timestamp][0], frame[timestamp][-1]
    by_year = (last.year - first.year) * 12 > _LONG_SPAN_MONTHS
    names = frame[timestamp].dt.strftime("%Y" if by_year else "%Y-%m")
    for run in names.rle().struct.unnest().with_columns(begin=pl.col("len").cum_sum() - pl.col("len")).iter_rows(named=True):
        yield run["value"], frame.slice(run["begin"], run["len"])


def _fragment(store: ArtifactStore, spec: SourceSpec, partition: str, rows: pl.DataFrame) -> Fragment:
    instants = rows[spec.timestamp].dt.epoch("us")
    first, last = (instants[0], instants[-1]) if partition != "undated" else (0, 0)
    return Fragment(partition, _store(store, rows), rows.height, first or 0, last or 0, _settled(rows, spec))


def _settled(rows: pl.DataFrame, spec: SourceSpec) -> int | None:
    names = [spec.timestamp, *spec.known_at.values()]
    if any(rows.filter(pl.col(moment).is_null())[late].count() for late, moment in spec.known_at.items()):
        return None
    if spec.created:
        if rows[spec.created].null_count():
            return None
        names.append(spec.created)
    moments = [rows[name].dt.epoch("us").max() for name in dict.fromkeys(names)]
    return max((moment for moment in moments if isinstance(moment, int)), default=0)


def _store(store: ArtifactStore, rows: pl.DataFrame) -> str:
    """Write Parquet whose pages are cut by content, so that a few inserted rows change a few chunks of bytes."""
    import pyarrow.parquet as parquet

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fragment.parquet"
        parquet.write_table(
            rows.to_arrow(compat_level=pl.CompatLevel.oldest()),
            path,
            compression="zstd",
            row_group_size=_ROW_GROUP,
            use_content_defined_chunking=True,
            store_schema=True,
        )
        return store.put_bytes(path.read_bytes())


def _histogram(dated: pl.DataFrame, spec: SourceSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many rows become visible in each hour, named by its end: the moment when a clock of full hours sees them."""
    visible = pl.col(spec.timestamp).dt.epoch("us")
    if spec.created:
        visible = pl.max_horizontal(visible, pl.col(spec.created).dt.epoch("us"))
        dated = dated.filter(pl.col(spec.created).is_not_null())
    hour = (-((-visible) // HOUR_US)) * HOUR_US
    table = dated.select(hour.alias("hour")).group_by("hour").len().sort("hour")
    return tuple(table["hour"].to_list()), tuple(table["len"].to_list())
