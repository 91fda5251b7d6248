"""Entry points of the child: ingest, infer a schema, compare. Nothing here touches the ledger."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bucle.artifacts import ArtifactStore
from bucle.data.cleaning import clean, formats_of
from bucle.data.differences import VersionDiff
from bucle.data.diffs import diff_frames
from bucle.data.fragments import write_version
from bucle.data.frames import all_rows, visible_rows
from bucle.data.inference import infer_schema
from bucle.data.inspection import find_leaks, inspect, profile_source, spines_of
from bucle.data.manifests import load_manifest
from bucle.data.orders import DiffOrder, InferOrder, IngestOrder, IngestResult
from bucle.data.schemas import Schema
from bucle.data.sources import Source

if TYPE_CHECKING:
    from bucle.runtimes import Child


def ingest_in_child(order: IngestOrder, child: "Child") -> IngestResult:
    """Clean raw files into a version's manifest, then profile what the moment sees, validate it and look for leaks."""
    store, spec, root = _store(child.artifacts), order.spec, child.root
    source = child.definitions().get(Source, spec.name)
    if order.manifest is None:
        cleaned, rounded = clean(source, spec, order.paths, root)
        artifact, manifest = write_version(store, spec, cleaned, order.files, rounded)
    else:
        artifact, manifest = order.manifest, load_manifest(store, order.manifest)
    rows = visible_rows(store, manifest, order.as_of_us).collect()
    spines = spines_of(child.definitions(), spec.name)
    profile = profile_source(rows, spec, spines, order.as_of_us)
    leaks = find_leaks(source, spec, order.paths, rows, spines, root)
    report = inspect(rows, spec, order.schema, leaks, order.as_of_us)
    return IngestResult(
        manifest=artifact,
        rows=manifest.rows,
        undated=manifest.undated.rows if manifest.undated else 0,
        first_us=manifest.fragments[0].first_us if manifest.fragments else None,
        last_us=manifest.fragments[-1].last_us if manifest.fragments else None,
        format=formats_of(order.paths),
        profile=store.put_json(profile),
        visible=rows.height,
        null_shares={name: round(column.null_share, 6) for name, column in profile.whole.columns.items() if column.nulls},
        labels=[label.total() for label in profile.labels],
        report=store.put_json(report),
        validation=report,
    )


def infer_in_child(order: InferOrder, child: "Child") -> Schema:
    """Return the schema that a version's visible rows suggest."""
    store, spec = _store(child.artifacts), order.spec
    rows = visible_rows(store, load_manifest(store, order.manifest), order.as_of_us).collect()
    return infer_schema(rows, spec.name, key=spec.key, timestamp=spec.timestamp, late=spec.moments)


def diff_in_child(order: DiffOrder, child: "Child") -> VersionDiff:
    """Return what differs between two versions, all rows of both."""
    store = _store(child.artifacts)
    before, after = (load_manifest(store, manifest) for manifest in order.manifests)
    frames = all_rows(store, before).collect(), all_rows(store, after).collect()
    return diff_frames(order.ids, (before, after), frames)


@cache
def _store(root: Path) -> ArtifactStore:
    """One store for the life of the child: what it has verified once it does not verify again."""
    return ArtifactStore(root)
