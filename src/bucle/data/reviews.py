"""What people ask of versions: an inferred schema to review, what differs between two, the rows as files."""

from pathlib import Path
from typing import TYPE_CHECKING

from bucle.artifacts import ArtifactStore
from bucle.data.differences import VersionDiff
from bucle.data.errors import NoVersion, SchemaExists, TargetExists
from bucle.data.ingestion import find_source
from bucle.data.orders import CheckoutOrder, CheckoutResult, DiffOrder, InferOrder
from bucle.data.schemas import Schema, schema_path, write_schema
from bucle.data.versions import DatasetVersion, fitting_version
from bucle.ledger import Home, Scope, format_instant

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

_SECONDS = 1800.0


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


def checkout_version(
    artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", version: DatasetVersion, folder: Path
) -> CheckoutResult:
    """Write all rows of a version as Parquet into a folder that is not there yet, or empty. Raises `data/target-exists`."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TargetExists(path=folder, where=str(folder))
    order = CheckoutOrder(version.manifest, str(folder.absolute()))
    with runners.lend(code.runtime, code.checkout) as runner:
        return runner.call("bucle.data.extraction:checkout_in_child", order, CheckoutResult, timeout=_SECONDS)
