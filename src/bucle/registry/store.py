"""How model versions, gates, waivers and aliases live in the ledger."""

import json
from typing import TYPE_CHECKING

import msgspec

from bucle.ledger import Reader, Row, Transaction

if TYPE_CHECKING:
    from bucle.registry.gates import GateResult
    from bucle.registry.versions import VersionDraft

INSERT_VERSION = """
INSERT INTO model_version (id, project, environment, model, version, run, package, artifact, description, evaluation, findings,
  stage, previous, commit_sha, lock_digest, as_of_us, created_us, actor, event, retired)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'registered', ?, ?, ?, ?, ?, ?, ?, NULL)
"""
INSERT_GATE = """
INSERT INTO model_gate (model_version, ordinal, name, kind, passed, evidence, reason, event, said)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_WAIVER = """
INSERT INTO gate_waiver (model_version, gate, actor, role, reason, at_us, event) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
INSERT_ALIAS = """
INSERT INTO model_alias (project, model, alias, model_version, at_us, actor, event) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
CURRENT_ALIASES = """
SELECT alias, model_version, at_us, actor, event FROM model_alias outside
WHERE project = ? AND model = ? AND model_version IS NOT NULL
  AND event = (SELECT max(event) FROM model_alias newest
    WHERE newest.project = outside.project AND newest.model = outside.model AND newest.alias = outside.alias)
ORDER BY alias
"""
MODELS = """
SELECT model, count(*) AS versions, max(version) AS newest FROM model_version WHERE project = ? GROUP BY model ORDER BY model
"""


def next_number(tx: Transaction, project: str, model: str) -> int:
    """Return the number of a model's next version."""
    row = tx.row("SELECT max(version) FROM model_version WHERE project = ? AND model = ?", (project, model))
    return int(row[0] or 0) + 1 if row else 1


def insert_version(
    tx: Transaction, id: str, number: int, draft: "VersionDraft", scope: tuple[str, str], created_us: int, actor: str, seq: int
) -> None:
    """Insert a version of a draft."""
    package, evaluation = draft.package, draft.evaluation
    findings = msgspec.json.encode(evaluation).decode() if evaluation is not None else None
    what = (package.id, package.model, msgspec.json.encode(package).decode(), evaluation.id if evaluation else None, findings)
    code = (draft.previous, draft.commit, draft.lock, draft.as_of_us)
    tx.execute(INSERT_VERSION, (id, *scope, draft.model, number, draft.run, *what, *code, created_us, actor, seq))


def insert_gate(tx: Transaction, version_id: str, ordinal: int, gate: "GateResult", seq: int) -> None:
    """Insert what a gate found; `seq` is its event."""
    evidence = msgspec.json.encode(gate.evidence).decode()
    said = msgspec.json.encode(gate.said).decode() if gate.said else None
    values = (version_id, ordinal, gate.name, gate.kind, int(gate.passed), evidence, gate.reason, seq, said)
    tx.execute(INSERT_GATE, values)


def version_by_id(reader: Reader | Transaction, id: str, project: str | None = None) -> Row | None:
    """Return the row of a version, None when there is none in the project."""
    if project is None:
        return reader.row("SELECT * FROM model_version WHERE id = ?", (id,))
    return reader.row("SELECT * FROM model_version WHERE id = ? AND project = ?", (id, project))


def version_by_number(reader: Reader | Transaction, project: str, model: str, number: int) -> Row | None:
    """Return the row of a model's version of that number, or None."""
    sql = "SELECT * FROM model_version WHERE project = ? AND model = ? AND version = ?"
    return reader.row(sql, (project, model, number))


def newest_version(reader: Reader | Transaction, project: str, model: str) -> Row | None:
    """Return the row of a model's newest version that is not retired, or None."""
    sql = "SELECT * FROM model_version WHERE project = ? AND model = ? AND retired IS NULL ORDER BY version DESC LIMIT 1"
    return reader.row(sql, (project, model))


def versions(reader: Reader | Transaction, project: str, model: str | None, limit: int) -> list[Row]:
    """Return the versions of a model or of all, newest first."""
    if model is None:
        sql = "SELECT * FROM model_version WHERE project = ? ORDER BY event DESC LIMIT ?"
        return reader.rows(sql, (project, limit))
    sql = "SELECT * FROM model_version WHERE project = ? AND model = ? ORDER BY version DESC LIMIT ?"
    return reader.rows(sql, (project, model, limit))


def staged(reader: Reader | Transaction, project: str, model: str, stage: str) -> list[Row]:
    """Return the versions of a model that are in a stage, newest first."""
    sql = "SELECT * FROM model_version WHERE project = ? AND model = ? AND stage = ? ORDER BY version DESC"
    return reader.rows(sql, (project, model, stage))


def gates(reader: Reader | Transaction, version_id: str) -> list[Row]:
    """Return what the gates of a version found, in the order in which they were asked."""
    return reader.rows("SELECT * FROM model_gate WHERE model_version = ? ORDER BY ordinal", (version_id,))


def waivers(reader: Reader | Transaction, version_id: str) -> list[Row]:
    """Return the waivers of a version's gates."""
    return reader.rows("SELECT * FROM gate_waiver WHERE model_version = ? ORDER BY event", (version_id,))


def current_aliases(reader: Reader | Transaction, project: str, model: str) -> list[Row]:
    """Return the aliases of a model that point to a version."""
    return reader.rows(CURRENT_ALIASES, (project, model))


def alias_rows(reader: Reader | Transaction, project: str, model: str, alias: str) -> list[Row]:
    """Return what an alias has pointed to, newest first."""
    sql = "SELECT * FROM model_alias WHERE project = ? AND model = ? AND alias = ? ORDER BY event DESC"
    return reader.rows(sql, (project, model, alias))


def models(reader: Reader, project: str) -> list[Row]:
    """Return the names of a project's models with the number of their versions."""
    return reader.rows(MODELS, (project,))


def evidence(row: Row) -> dict[str, object]:
    """Return the numbers of a gate's row."""
    found: dict[str, object] = json.loads(row["evidence"])
    return found


def set_stage(tx: Transaction, version_id: str, stage: str) -> None:
    """Write a version's stage."""
    tx.execute("UPDATE model_version SET stage = ? WHERE id = ?", (stage, version_id))


def set_retired(tx: Transaction, version_id: str, reason: str) -> None:
    """Write why a version was retired."""
    tx.execute("UPDATE model_version SET retired = ? WHERE id = ?", (reason, version_id))
