"""Writing down what an ingestion found: state, events and lineage in one transaction."""

import json
from pathlib import Path

from bucle.artifacts import refer
from bucle.data import store
from bucle.data.events import (
    LeakAccepted,
    RulesRecorded,
    SchemaRecorded,
    SourceConnected,
    SourceProfiled,
    Validated,
    VersionCreated,
)
from bucle.data.files import RawState
from bucle.data.orders import IngestResult
from bucle.data.reports import Finding
from bucle.data.schemas import Schema
from bucle.data.sources import SourceSpec
from bucle.data.versions import DatasetVersion, get_version
from bucle.errors import BucleError
from bucle.ledger import Transaction, because, current_context, new_id
from bucle.project import Checkout, run_git

_MOST_FINDINGS = 20


def record_version(
    transaction: Transaction,
    spec: SourceSpec,
    checkout: Checkout,
    home: Path,
    raw: RawState,
    schema: Schema | None,
    result: IngestResult,
    code: str,
    *,
    reused: bool,
) -> DatasetVersion:
    """Enter a new version with everything that explains it, and return it (K-5, K-6, K-8, K-9, K-10)."""
    id = new_id("ds")
    connected = transaction.emit(_connected(spec, raw, result), spec.name)
    rules = _record_rules(transaction, spec, checkout, home)
    with because(connected, rules):
        created = transaction.emit(
            VersionCreated(
                spec.name, id, result.manifest, result.rows, result.undated, raw.digest, spec.rules, spec.digest, reused
            ),
            id,
        )
    scope = current_context().scope
    place = (scope.project, scope.environment, spec.name)
    values = (
        *(id, *place, *place, result.manifest, result.rows, result.first_us, result.last_us, raw.digest, spec.rules),
        *(spec.digest, None, result.profile, "pass", result.report, created, transaction.clock.now_us(), created),
    )
    transaction.execute(store.INSERT_VERSION, values)
    with because(created):
        profiled = SourceProfiled(spec.name, id, result.profile, result.visible, result.null_shares, result.labels)
        transaction.emit(profiled, id)
        record_validation(transaction, id, spec, schema, result, checkout, code, accepted=False)
    _record_lineage(transaction, spec, id, result, created)
    return get_version(transaction, id)


def record_validation(
    transaction: Transaction,
    id: str,
    spec: SourceSpec,
    schema: Schema | None,
    result: IngestResult,
    checkout: Checkout,
    code: str,
    *,
    accepted: bool,
) -> int:
    """Enter what validation found about a version: its outcome, its vetoes; return the event's seq (K-14, K-19, G1-dv).

    A version that was `accepted` by the same schema before stays current when a later month of it breaks the schema: that
    month is vetoed as well. `code` is the digest of the definitions that it was judged by.
    """
    report, digest = result.validation, schema.digest if schema else None
    recorded = _record_schema(transaction, spec, schema)
    version = get_version(transaction, id)
    stopping = [finding for finding in report.findings if finding.kind == "schema"]
    later = accepted and version.schema == digest and version.outcome != "stop" and all(each.partition for each in stopping)
    broken = {each.partition for each in stopping if each.partition} if later else set()
    outcome = "warn" if stopping and later else report.outcome
    vetoed = sorted({*report.vetoed, *broken})
    let_pass = [_record_acceptance(transaction, spec, each, checkout) for each in report.findings if each.kind == "accepted"]
    with because(version.event, recorded, *let_pass):
        shown = [str(finding) for finding in report.findings[:_MOST_FINDINGS]]
        validated = Validated(spec.name, id, report.outcome, digest, result.report, report.rows, shown, vetoed)
        event = transaction.emit(validated, id)
    transaction.execute(store.UPDATE_VALIDATION, (digest, outcome, result.report, event, code, id))
    transaction.execute(store.DELETE_VETOES, (id,))
    place = (version.project, version.environment, spec.name, id)
    transaction.execute_many(store.INSERT_VETO, ((*place, month, event) for month in vetoed))
    return event


def _connected(spec: SourceSpec, raw: RawState, result: IngestResult) -> SourceConnected:
    size = sum(file.size for file in raw.files)
    location = spec.location if str(raw.base) in ("", "/") else f"{raw.base.name}/{spec.location}"
    return SourceConnected(spec.name, location, result.format, len(raw.files), size, raw.digest)


def _record_rules(transaction: Transaction, spec: SourceSpec, checkout: Checkout, home: Path) -> int:
    """Return the event that recorded the rules: a new one when they are used for the first time."""
    project = current_context().scope.project
    known = transaction.row(store.SELECT_RULES, (project, spec.name, spec.rules))
    if known is not None:
        return int(known["event"])
    before = transaction.row(store.SELECT_RULES_BEFORE, (project, spec.name))
    old = json.loads(before["parts"]) if before else {}
    changed = sorted(name for name in old.keys() | spec.parts.keys() if old.get(name) != spec.parts.get(name)) if before else []
    run = commit_reason(checkout, home)
    with because(before["event"] if before else None):
        event = transaction.emit(RulesRecorded(spec.name, spec.rules, checkout.commit, spec.where, changed, run), spec.name)
    values = (project, spec.name, spec.rules, checkout.commit or "", json.dumps(spec.parts), event)
    transaction.execute(store.INSERT_RULES, values)
    return event


def _record_schema(transaction: Transaction, spec: SourceSpec, schema: Schema | None) -> int | None:
    if schema is None:
        return None
    project = current_context().scope.project
    known = transaction.row(store.SELECT_SCHEMA, (project, spec.name, schema.digest))
    if known is not None:
        return int(known["event"])
    event = transaction.emit(SchemaRecorded(spec.name, schema.digest, len(schema.columns)), spec.name)
    transaction.execute(store.INSERT_SCHEMA, (project, spec.name, schema.digest, event))
    return event


def _record_acceptance(transaction: Transaction, spec: SourceSpec, finding: Finding, checkout: Checkout) -> int:
    """Return the event that recorded this exception: a new one for a column and reason seen for the first time."""
    reason = spec.accepted[finding.column]
    key = (current_context().scope.project, spec.name, finding.column, reason)
    known = transaction.row(store.SELECT_ACCEPTANCE, key)
    if known is not None:
        return int(known["event"])
    commit = None if checkout.dirty else checkout.commit
    event = transaction.emit(
        LeakAccepted(spec.name, finding.column, finding.message, reason, commit, finding.where or spec.where), spec.name
    )
    transaction.execute(store.INSERT_ACCEPTANCE, (*key, event))
    return event


def _record_lineage(transaction: Transaction, spec: SourceSpec, id: str, result: IngestResult, event: int) -> None:
    transaction.node(id, "artifact", "dataset_version", spec.name, event)
    transaction.node(result.manifest, "artifact", "manifest", spec.name, event)
    transaction.edge(result.manifest, id, "manifest", event)
    for artifact, role in ((result.manifest, "manifest"), (result.profile, "profile"), (result.report, "report")):
        refer(transaction, artifact, id, role)


def commit_reason(checkout: Checkout, home: Path) -> str | None:
    """Return the run that the trailer `Bucle-Run:` of the checkout's commit names, None without one (K-F1)."""
    if checkout.commit is None or checkout.dirty:
        return None
    for repository in (checkout.root, home / "git" / f"{checkout.project}.git"):
        try:
            form = "--format=%(trailers:key=Bucle-Run,valueonly,separator=%x2C)"
            return run_git(repository, "log", "-1", form, checkout.commit).strip().partition(",")[0] or None
        except (BucleError, OSError):
            continue
    return None
