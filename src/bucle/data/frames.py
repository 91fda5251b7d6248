"""Reading a snapshot's rows: what its moment may see, and nothing else. Runs in children only."""

import polars as pl

from bucle.artifacts import ArtifactStore
from bucle.data.errors import NoVersion
from bucle.data.fragments import scan_fragment
from bucle.data.instants import INSTANT
from bucle.data.manifests import Fragment, Manifest, load_manifest
from bucle.data.snapshots import Snapshot
from bucle.data.sources import SourceSpec

_LATEST_US = 2**62


def read_snapshot(
    store: ArtifactStore, snapshot: Snapshot, source: str, *, start_us: int | None = None, trainable: bool = False
) -> pl.LazyFrame:
    """Return the rows of a source that the snapshot's moment sees, sorted by timestamp, as a lazy scan of Parquet.

    Rows later than as_of (or recorded later, or never) are absent; columns of `known_at`, and their moments, are null while
    later than as_of. `start_us` leaves out older rows without reading them; `trainable` leaves out the partitions that
    validation vetoed. Raises `data/no-version`.
    """
    version = snapshot.versions.get(source)
    if version is None:
        raise NoVersion(name=source, environment=snapshot.environment)
    manifest = load_manifest(store, version.manifest)
    vetoed = set(version.vetoed) if trainable else set()
    return visible_rows(store, manifest, snapshot.as_of_us, start_us=start_us, without=vetoed)


def visible_rows(
    store: ArtifactStore,
    manifest: Manifest,
    as_of_us: int,
    *,
    start_us: int | None = None,
    without: set[str] | frozenset[str] = frozenset(),
) -> pl.LazyFrame:
    """Return a version's rows as a clock at `as_of_us` sees them. See `read_snapshot`."""
    wanted = [
        fragment
        for fragment in manifest.fragments
        if fragment.first_us <= as_of_us
        and (start_us is None or fragment.last_us >= start_us)
        and fragment.partition not in without
    ]
    scans = [_visible(store, manifest.spec, fragment, as_of_us, start_us) for fragment in wanted]
    rows = pl.concat(scans, how="vertical") if scans else _nothing(store, manifest)
    days = [partition for partition in without if len(partition) == len("2013-04-01")]
    if days and wanted:
        rows = rows.filter(~pl.col(manifest.spec.timestamp).dt.strftime("%Y-%m-%d").is_in(days))
    inside = [partition for partition in without if len(partition) == len("2013-04")]
    by_year = any(len(fragment.partition) == 4 for fragment in wanted)
    if inside and by_year:
        rows = rows.filter(~pl.col(manifest.spec.timestamp).dt.strftime("%Y-%m").is_in(inside))
    return rows


def all_rows(store: ArtifactStore, manifest: Manifest) -> pl.LazyFrame:
    """Return every row of a version, whatever the clock says: for a checkout and for a comparison of versions."""
    fragments = [*manifest.fragments, *([manifest.undated] if manifest.undated else [])]
    if not fragments:
        return pl.LazyFrame(schema={column.name: pl.Null for column in manifest.columns})
    return pl.concat([scan_fragment(store, fragment) for fragment in fragments], how="vertical")


def mask_moments(rows: pl.LazyFrame, spec: SourceSpec, as_of: pl.Expr) -> pl.LazyFrame:
    """Return the rows with every late column null where its moment is later than `as_of`, or is not known at all."""
    known = {name: pl.when(pl.col(moment) <= as_of).then(pl.col(name)).alias(name) for name, moment in spec.moments.items()}
    return rows.with_columns(known.values())


def _visible(store: ArtifactStore, spec: SourceSpec, fragment: Fragment, as_of_us: int, start_us: int | None) -> pl.LazyFrame:
    rows = scan_fragment(store, fragment)
    if start_us is not None and fragment.first_us < start_us:
        rows = rows.filter(pl.col(spec.timestamp) >= _instant(start_us))
    if fragment.settled_us is not None and fragment.settled_us <= as_of_us:
        return rows
    as_of = _instant(min(as_of_us, _LATEST_US))
    if fragment.last_us > as_of_us:
        rows = rows.filter(pl.col(spec.timestamp) <= as_of)
    if spec.created:
        rows = rows.filter(pl.col(spec.created) <= as_of)
    return mask_moments(rows, spec, as_of)


def _nothing(store: ArtifactStore, manifest: Manifest) -> pl.LazyFrame:
    """No rows, of the right types."""
    fragments = [*manifest.fragments, *([manifest.undated] if manifest.undated else [])]
    if fragments:
        return scan_fragment(store, fragments[0]).head(0)
    return pl.LazyFrame(schema={column.name: pl.Null for column in manifest.columns})


def _instant(microseconds: int) -> pl.Expr:
    return pl.lit(microseconds, dtype=pl.Int64).cast(INSTANT)
