"""Ingestion, the parent's part: which files, is it new, and the one transaction that makes a version of it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bucle.artifacts import ArtifactStore, refer
from bucle.data import store as sql
from bucle.data.errors import DataRefused, FilesChanged, UnknownSource
from bucle.data.files import RawState, StatCache, find_change, find_files, read_raw
from bucle.data.orders import IngestOrder, IngestResult
from bucle.data.recording import record_validation, record_version
from bucle.data.reports import ValidationReport
from bucle.data.schemas import Schema, load_schema
from bucle.data.snapshots import source_specs
from bucle.data.sources import SourceSpec
from bucle.data.versions import DatasetVersion, latest_version, read_report, version_of
from bucle.ledger import Home, Scope, within
from bucle.project import DEV, digest_of, load_project_file, project_folder, suggest

if TYPE_CHECKING:
    from bucle.runtimes import Code, RunnerPool

T = TypeVar("T")
_SECONDS = 3600.0
_ENTRY = "bucle.data.extraction:ingest_in_child"
_REMEMBERED = 32
_ATTEMPTS = 3
_cache = StatCache()
_answers: dict[tuple[str, str, str], IngestResult] = {}
_turns: dict[tuple[str, str, str, str], threading.Lock] = {}


def ingest(
    home: Home, artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", scope: Scope, source: str
) -> DatasetVersion:
    """Bring a source's files into a version by the code's rules and return it; the version that exists if nothing changed.

    Content that another environment has ingested is not cleaned again; what was stopped is judged again once the definitions
    have changed, for a training set may have been what leaked. Raises `data/unknown-source`, `data/no-files`,
    `data/malformed-file`, `data/unreadable-file`, `data/files-changed`, `data/cleaning-failed`, `data/missing-column`,
    `data/bad-timestamp`, `data/bad-schema`, and `data/refused` for what validation stopped, each time it is asked for.
    """
    spec = find_source(code, source)
    with _turn(home, scope, source):
        version = _settled(lambda: _ingest(home, artifacts, runners, code, scope, spec))
    return _accepted(artifacts, version)


def ingest_all(
    home: Home, artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", scope: Scope
) -> dict[str, DatasetVersion]:
    """Ingest every source that the code declares. Raises what `ingest` does."""
    return {spec.name: ingest(home, artifacts, runners, code, scope, spec.name) for spec in source_specs(code)}


def validate(
    home: Home, artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", scope: Scope, source: str
) -> ValidationReport:
    """Validate what the home's clock sees of a source now, record it and return the report, whatever its outcome.

    New files are ingested first. Raises what `ingest` does but `data/refused`.
    """
    spec = find_source(code, source)
    with _turn(home, scope, source):
        before = _latest(home, scope, spec)
        version = _settled(lambda: _ingest(home, artifacts, runners, code, scope, spec))
        if before is None or before.event != version.event or before.validated_event != version.validated_event:
            return read_report(artifacts, version)
        return _settled(lambda: _validate_again(home, runners, code, scope, spec, locate(home, code, scope, spec), version))


def examine(home: Home, runners: "RunnerPool", code: "Code", scope: Scope, version: DatasetVersion) -> ValidationReport:
    """Judge a version that is there by the schema and the training sets of `code`, and record nothing of it."""
    spec = find_source(code, version.source)
    schema = load_schema(code.checkout.root, spec.name)
    return _settled(
        lambda: _call(home, runners, code, spec, locate(home, code, scope, spec), schema, version.manifest).validation
    )


def find_source(code: "Code", name: str) -> SourceSpec:
    """Return a source that the code declares. Raises `data/unknown-source`."""
    known = {spec.name: spec for spec in source_specs(code)}
    if name not in known:
        raise UnknownSource(name=name, hint=suggest(name, known))
    return known[name]


def locate(home: Home, code: "Code", scope: Scope, spec: SourceSpec) -> RawState:
    """Return the raw files of a source: the environment's own location, else the declared one.

    A relative location is looked for in the tree of the code, then in the project's working tree.
    Raises `data/no-files`, `data/unreadable-file`, `data/files-changed`.
    """
    base, stamps = find_files(*searched(home, code, scope, spec), spec.name, spec.where)
    return read_raw(base, stamps, _cache)


def searched(home: Home, code: "Code", scope: Scope, spec: SourceSpec) -> tuple[str, list[Path]]:
    """Return the location of a source's files in an environment, and the folders where a relative one is looked for."""
    environment = load_project_file(code.checkout.root).environment(scope.environment or DEV)
    return environment.sources.get(spec.name, spec.location), _bases(home, code)


def _ingest(
    home: Home, artifacts: ArtifactStore, runners: "RunnerPool", code: "Code", scope: Scope, spec: SourceSpec
) -> DatasetVersion:
    raw = locate(home, code, scope, spec)
    schema = load_schema(code.checkout.root, spec.name)
    version = _latest(home, scope, spec)
    if version is not None and version.raw == raw.digest:
        as_before = version.schema == (schema.digest if schema else None)
        if as_before and (version.outcome != "stop" or version.judged_by == code.description.digest):
            return version
        _validate_again(home, runners, code, scope, spec, raw, version)
        return _latest(home, scope, spec) or version
    twin = _twin(home, scope, spec, raw.digest)
    result = _call(home, runners, code, spec, raw, schema, twin.manifest if twin else None)
    with home.ledger.write() as transaction, within(scope):
        digest, reused = code.description.digest, twin is not None
        return record_version(transaction, spec, code.checkout, home.path, raw, schema, result, digest, reused=reused)


def _settled(work: Callable[[], T]) -> T:
    """Do it again, from the files as they lie there now, when one of them changed under the child's hands."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return work()
        except FilesChanged:
            continue
    return work()


def _validate_again(
    home: Home, runners: "RunnerPool", code: "Code", scope: Scope, spec: SourceSpec, raw: RawState, version: DatasetVersion
) -> ValidationReport:
    schema = load_schema(code.checkout.root, spec.name)
    result = _call(home, runners, code, spec, raw, schema, version.manifest)
    with home.ledger.write() as transaction, within(scope):
        digest = code.description.digest
        record_validation(transaction, version.id, spec, schema, result, code.checkout, digest, accepted=True)
        refer(transaction, result.report, version.id, "report")
    return result.validation


def _call(
    home: Home,
    runners: "RunnerPool",
    code: "Code",
    spec: SourceSpec,
    raw: RawState,
    schema: Schema | None,
    manifest: str | None,
) -> IngestResult:
    """Have a child do it, once for environments that ask for the same at the same moment of a replay clock.

    What it read must be what was hashed, else rows and digest would not agree. Raises `data/files-changed`.
    """
    order = IngestOrder(spec, raw.paths, raw.files, schema, home.ledger.clock.now_us(), manifest)
    asked = (str(home.path), code.description.digest, digest_of(msgspec.json.encode(order)))
    known = _answers.get(asked)
    if known is not None:
        return known
    try:
        with runners.lend(code.runtime, code.checkout) as runner:
            result = runner.call(_ENTRY, order, IngestResult, timeout=_SECONDS)
    finally:  # half a file may also be one that cannot be read
        if (changed := find_change(raw)) is not None:
            raise FilesChanged(file=changed, where=changed)
    while len(_answers) >= _REMEMBERED:
        _answers.pop(next(iter(_answers)), None)
    _answers[asked] = result
    return result


def _accepted(artifacts: ArtifactStore, version: DatasetVersion) -> DatasetVersion:
    if version.outcome == "stop":
        stopping = [finding for finding in read_report(artifacts, version).findings if finding.kind == "schema"]
        shown = " ".join(finding.message for finding in stopping[:3]) + (
            f" ({len(stopping)} in all)" if len(stopping) > 3 else ""
        )
        raise DataRefused(name=version.source, findings=shown, where=stopping[0].where if stopping else None)
    return version


def _latest(home: Home, scope: Scope, spec: SourceSpec) -> DatasetVersion | None:
    with home.ledger.read() as reader:
        return latest_version(reader, scope, spec.name, spec.digest)


def _twin(home: Home, scope: Scope, spec: SourceSpec, raw: str) -> DatasetVersion | None:
    with home.ledger.read() as reader:
        row = reader.row(sql.SELECT_TWIN, (scope.project, spec.name, spec.digest, raw))
        return version_of(row) if row else None


def _bases(home: Home, code: "Code") -> list[Path]:
    """The tree of the code, then the working tree: data files are not in git, and a pushed commit needs them too."""
    folder = project_folder(home, code.checkout.project)
    return list(dict.fromkeys([code.checkout.root, *([folder] if folder else [])]))


def _turn(home: Home, scope: Scope, source: str) -> threading.Lock:
    return _turns.setdefault((os.fspath(home.path), scope.project, scope.environment, source), threading.Lock())
