"""What people ask of versions: an inferred schema to review, what differs between two, the rows as files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bucle.data.differences import VersionDiff
from bucle.data.errors import NoVersion, SchemaExists
from bucle.data.ingestion import find_source
from bucle.data.manifests import Manifest
from bucle.data.orders import DiffOrder, InferOrder
from bucle.data.schemas import Schema, schema_path, write_schema
from bucle.data.versions import DatasetVersion, fitting_version
from bucle.ledger import Home, Scope, format_instant

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A Parquet file of a version."""

    name: str
    artifact: str
    rows: int


def infer_reviewed(
    home: Home, runners: "RunnerPool", code: "Code", scope: Scope, source: str, *, force: bool = False
) -> tuple[Path, Schema]:
    """Write `schemas/SOURCE.toml` into the working tree from what the clock sees of the source now; return path and schema.

    Raises `data/no-version`, `data/schema-exists` unless `force`.
    """
    spec = find_source(code, source)
    with home.ledger.read() as reader:
        version = fitting_version(reader, scope, source, spec.digest)
    if version is None:
        raise NoVersion(name=source, environment=scope.environment, where=spec.where)
    path = code.checkout.root / schema_path(source)
    if path.exists() and not force:
        raise SchemaExists(file=schema_path(source), where=schema_path(source))
    now = home.ledger.clock.now()
    order = InferOrder(spec, version.manifest, home.ledger.clock.now_us())
    with runners.lend(code.runtime, code.checkout) as runner:
        schema = runner.call("bucle.data.extraction:infer_in_child", order, Schema, timeout=_SECONDS)
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(".toml.new")
    temporary.write_text(write_schema(schema, f"{version.id} as of {format_instant(now)}"), "utf-8")
    temporary.replace(path)
    return path, schema


def diff_versions(runners: "RunnerPool", code: "Code", before: DatasetVersion, after: DatasetVersion) -> VersionDiff:
    """Return what differs between two versions of a source: files, rules, rows, columns, distributions."""
    order = DiffOrder((before.id, after.id), (before.manifest, after.manifest))
    with runners.lend(code.runtime, code.checkout) as runner:
        return runner.call("bucle.data.extraction:diff_in_child", order, VersionDiff, timeout=_SECONDS)


def version_files(manifest: Manifest) -> list[VersionFile]:
    """Return a version's Parquet files: all its rows, whatever the clock says."""
    fragments = [*manifest.fragments, *([manifest.undated] if manifest.undated else [])]
    name = manifest.spec.name
    return [VersionFile(f"{name}-{each.partition}.parquet", each.artifact, each.rows) for each in fragments]
