"""Data: sources, immutable versions, snapshots of what a moment sees, profiles, schemas, validation, leaks.

The face is lazy: the server imports neither Polars nor pyarrow; what needs them is loaded in children when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bucle.data.arrivals import FileWatch, announce_arrivals, ingest_due, validate_reviewed
    from bucle.data.differences import ColumnDiff, VersionDiff
    from bucle.data.distances import jensen_shannon, kolmogorov, profile_distances, psi
    from bucle.data.errors import DataRefused, NoVersion, ProfilesDiffer, UnknownFile, UnknownSource, UnknownVersion
    from bucle.data.events import LabelCount
    from bucle.data.frames import mask_moments, read_snapshot, visible_rows
    from bucle.data.inference import infer_schema
    from bucle.data.ingestion import examine, ingest, ingest_all, validate
    from bucle.data.instants import INSTANT, to_instants
    from bucle.data.labels import labels_present
    from bucle.data.leaks import declared_leaks, provenance_leaks, telling_leaks
    from bucle.data.manifests import Manifest, load_manifest, rows_visible
    from bucle.data.profiles import (
        ColumnProfile,
        Profile,
        add_profiles,
        category_text,
        empty_like,
        profile_rows,
        profile_values,
    )
    from bucle.data.profiling import profile_frame
    from bucle.data.recording import commit_reason
    from bucle.data.reports import Finding, LabelMonth, LabelsPresent, SourceProfile, ValidationReport, combine, judge
    from bucle.data.reviews import VersionFile, diff_versions, infer_reviewed, version_files
    from bucle.data.schemas import ColumnSchema, Schema, load_schema, schema_path, write_schema
    from bucle.data.snapshots import Snapshot, SnapshotVersion, source_specs, take_snapshot
    from bucle.data.sources import Source, SourceSpec, source
    from bucle.data.validation import validate_frame, values_by_day
    from bucle.data.versions import (
        DatasetVersion,
        current_versions,
        get_version,
        has_versions,
        list_versions,
        read_report,
        vetoed_months,
    )
    from bucle.data.writings import CHANGED, MOST_VALUES, Writing, unit_of, writing_of

_FACE = {
    "validate_reviewed": "arrivals",
    "CHANGED": "writings",
    "MOST_VALUES": "writings",
    "Writing": "writings",
    "unit_of": "writings",
    "writing_of": "writings",
    "values_by_day": "validation",
    "INSTANT": "instants",
    "ColumnDiff": "differences",
    "ColumnProfile": "profiles",
    "ColumnSchema": "schemas",
    "DataRefused": "errors",
    "DatasetVersion": "versions",
    "FileWatch": "arrivals",
    "Finding": "reports",
    "LabelMonth": "reports",
    "LabelsPresent": "reports",
    "LabelCount": "events",
    "Manifest": "manifests",
    "NoVersion": "errors",
    "Profile": "profiles",
    "ProfilesDiffer": "errors",
    "Schema": "schemas",
    "Snapshot": "snapshots",
    "SnapshotVersion": "snapshots",
    "Source": "sources",
    "SourceProfile": "reports",
    "SourceSpec": "sources",
    "UnknownFile": "errors",
    "UnknownSource": "errors",
    "UnknownVersion": "errors",
    "ValidationReport": "reports",
    "VersionDiff": "differences",
    "VersionFile": "reviews",
    "add_profiles": "profiles",
    "announce_arrivals": "arrivals",
    "category_text": "profiles",
    "combine": "reports",
    "commit_reason": "recording",
    "current_versions": "versions",
    "declared_leaks": "leaks",
    "diff_versions": "reviews",
    "empty_like": "profiles",
    "get_version": "versions",
    "has_versions": "versions",
    "infer_reviewed": "reviews",
    "infer_schema": "inference",
    "examine": "ingestion",
    "ingest": "ingestion",
    "ingest_all": "ingestion",
    "ingest_due": "arrivals",
    "jensen_shannon": "distances",
    "judge": "reports",
    "kolmogorov": "distances",
    "labels_present": "labels",
    "list_versions": "versions",
    "load_manifest": "manifests",
    "load_schema": "schemas",
    "mask_moments": "frames",
    "profile_distances": "distances",
    "profile_frame": "profiling",
    "profile_rows": "profiles",
    "profile_values": "profiles",
    "provenance_leaks": "leaks",
    "psi": "distances",
    "read_report": "versions",
    "read_snapshot": "frames",
    "rows_visible": "manifests",
    "schema_path": "schemas",
    "source": "sources",
    "source_specs": "snapshots",
    "take_snapshot": "snapshots",
    "telling_leaks": "leaks",
    "to_instants": "instants",
    "validate": "ingestion",
    "validate_frame": "validation",
    "version_files": "reviews",
    "vetoed_months": "versions",
    "visible_rows": "frames",
    "write_schema": "schemas",
}

__all__ = [
    "CHANGED",
    "INSTANT",
    "MOST_VALUES",
    "ColumnDiff",
    "ColumnProfile",
    "ColumnSchema",
    "DataRefused",
    "DatasetVersion",
    "FileWatch",
    "Finding",
    "LabelCount",
    "LabelMonth",
    "LabelsPresent",
    "Manifest",
    "NoVersion",
    "Profile",
    "ProfilesDiffer",
    "Schema",
    "Snapshot",
    "SnapshotVersion",
    "Source",
    "SourceProfile",
    "SourceSpec",
    "UnknownFile",
    "UnknownSource",
    "UnknownVersion",
    "ValidationReport",
    "VersionDiff",
    "VersionFile",
    "Writing",
    "add_profiles",
    "announce_arrivals",
    "category_text",
    "combine",
    "commit_reason",
    "current_versions",
    "declared_leaks",
    "diff_versions",
    "empty_like",
    "examine",
    "get_version",
    "has_versions",
    "infer_reviewed",
    "infer_schema",
    "ingest",
    "ingest_all",
    "ingest_due",
    "jensen_shannon",
    "judge",
    "kolmogorov",
    "labels_present",
    "list_versions",
    "load_manifest",
    "load_schema",
    "mask_moments",
    "profile_distances",
    "profile_frame",
    "profile_rows",
    "profile_values",
    "provenance_leaks",
    "psi",
    "read_report",
    "read_snapshot",
    "rows_visible",
    "schema_path",
    "source",
    "source_specs",
    "take_snapshot",
    "telling_leaks",
    "to_instants",
    "unit_of",
    "validate",
    "validate_frame",
    "validate_reviewed",
    "values_by_day",
    "version_files",
    "vetoed_months",
    "visible_rows",
    "write_schema",
    "writing_of",
]


def __getattr__(name: str) -> Any:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_FACE[name]}"), name)
    return value
