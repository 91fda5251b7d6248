"""Dataset versions: immutable, by the content of a source's files and the rules that cleaned them."""

from dataclasses import dataclass
from datetime import datetime

from bucle.artifacts import ArtifactStore
from bucle.data import store
from bucle.data.errors import UnknownVersion
from bucle.data.reports import Outcome, ValidationReport
from bucle.ledger import Reader, Row, Scope, Transaction, from_us


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A source's cleaned rows at one state of its files and rules.

    `manifest`, `profile` and `report` are artifact ids. `outcome` is that of its newest validation, `judged_by` the digest of
    the definitions then: a version that was stopped exists and is not current until others judge otherwise. `event` is the seq
    that created it, `validated_event` the newest validation's.
    """

    id: str
    project: str
    environment: str
    source: str
    manifest: str
    rows: int
    first: datetime | None
    last: datetime | None
    raw: str
    rules: str
    spec: str
    schema: str | None
    profile: str
    outcome: Outcome
    report: str
    validated_event: int
    judged_by: str
    created: datetime
    event: int


def current_versions(reader: Reader | Transaction, scope: Scope) -> dict[str, DatasetVersion]:
    """Return the newest version of each source in a scope that validation did not stop."""
    rows = reader.rows(store.SELECT_CURRENT, (scope.project, scope.environment))
    return {row["source"]: version_of(row) for row in rows}


def fitting_version(reader: Reader | Transaction, scope: Scope, source: str, spec_digest: str) -> DatasetVersion | None:
    """Return the newest version of a source by exactly these rules that validation did not stop."""
    row = reader.row(store.SELECT_FITTING, (scope.project, scope.environment, source, spec_digest))
    return version_of(row) if row else None


def latest_version(reader: Reader | Transaction, scope: Scope, source: str, spec_digest: str) -> DatasetVersion | None:
    """Return the newest version of a source by these rules, stopped or not."""
    row = reader.row(store.SELECT_LATEST, (scope.project, scope.environment, source, spec_digest))
    return version_of(row) if row else None


def list_versions(reader: Reader, scope: Scope, source: str = "") -> list[DatasetVersion]:
    """Return all versions in a scope (of one source), newest first."""
    rows = reader.rows(store.SELECT_VERSIONS, (scope.project, scope.environment, source, source))
    return [version_of(row) for row in rows]


def has_versions(reader: Reader, scope: Scope) -> bool:
    """Return whether anything was ever ingested in a scope."""
    return reader.row(store.HAS_VERSIONS, (scope.project, scope.environment)) is not None


def get_version(reader: Reader | Transaction, id: str, project: str | None = None) -> DatasetVersion:
    """Return a version by id, only one of `project` if that is given. Raises `data/unknown-version`."""
    row = reader.row(store.SELECT_VERSION, (id,))
    if row is None or (project is not None and row["project"] != project):
        raise UnknownVersion(id=id)
    return version_of(row)


def vetoed_months(reader: Reader | Transaction, version: str) -> tuple[str, ...]:
    """Return the months and days of a version that are not to be trained on, as "2013-04", "2013-04-08"."""
    return tuple(row["month"] for row in reader.rows(store.SELECT_VETOES, (version,)))


def read_report(artifacts: ArtifactStore, version: DatasetVersion) -> ValidationReport:
    """Return the newest validation's report of a version."""
    return artifacts.get_json(version.report, ValidationReport)


def version_of(row: Row) -> DatasetVersion:
    """Return the version that a row holds."""
    return DatasetVersion(
        id=row["id"],
        project=row["project"],
        environment=row["environment"],
        source=row["source"],
        manifest=row["manifest"],
        rows=row["row_count"],
        first=_moment(row["first_us"]),
        last=_moment(row["last_us"]),
        raw=row["raw"],
        rules=row["rules"],
        spec=row["spec_digest"],
        schema=row["schema_digest"],
        profile=row["profile"],
        outcome=row["outcome"],
        report=row["report"],
        validated_event=row["validated_event"],
        judged_by=row["judged_by"],
        created=from_us(row["created_us"]),
        event=row["event"],
    )


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_us(microseconds)
