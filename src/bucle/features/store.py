"""How materialized views and recorded rules live in the ledger; the rows of the online store are in `online/sqlite.py`."""

from dataclasses import dataclass

from bucle.ledger import Reader, Scope, Transaction

SELECT_READABLE = "SELECT view, digest, features, until_us FROM materialized_view WHERE project = ? AND environment = ?"
SELECT_MATERIALIZED = """
SELECT view, digest, source, version, features, until_us, event FROM materialized_view
WHERE project = ? AND environment = ? ORDER BY view, until_us DESC
"""
UPSERT_MATERIALIZED = """
INSERT INTO materialized_view (project, environment, view, digest, source, version, features, until_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (project, environment, view, digest) DO UPDATE
SET version = excluded.version, features = excluded.features, until_us = excluded.until_us,
  event = coalesce(excluded.event, materialized_view.event)
"""
DELETE_MATERIALIZED = "DELETE FROM materialized_view WHERE project = ? AND environment = ? AND view = ? AND digest = ?"
SELECT_KEPT = "SELECT view FROM kept_view WHERE project = ? AND environment = ?"
INSERT_KEPT = "INSERT INTO kept_view (project, environment, view, event) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
SELECT_RULES = "SELECT event FROM feature_rules WHERE project = ? AND kind = ? AND name = ? AND digest = ? AND commit_sha = ?"
SELECT_RULES_BEFORE = """
SELECT digest, event FROM feature_rules WHERE project = ? AND kind = ? AND name = ? ORDER BY event DESC LIMIT 1
"""
INSERT_RULES = """
INSERT INTO feature_rules (project, kind, name, digest, commit_sha, event) VALUES (?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class MaterializedView:
    """Up to when a view is readable online, by which definition and from which version of its source.

    `features` are the names that it gives; `event` is the seq of the last materialization that wrote something.
    """

    view: str
    digest: str
    source: str
    version: str
    features: tuple[str, ...]
    until_us: int
    event: int | None


def list_materialized(reader: Reader | Transaction, scope: Scope) -> list[MaterializedView]:
    """Return what is readable online in a scope, by view, the newest first."""
    rows = reader.rows(SELECT_MATERIALIZED, (scope.project, scope.environment))
    return [MaterializedView(row[0], row[1], row[2], row[3], tuple(row[4].split("\n")), row[5], row[6]) for row in rows]


def kept_views(reader: Reader | Transaction, scope: Scope) -> set[str]:
    """Return the names of the views that somebody asked for in a scope: ticks keep them readable online."""
    return {row[0] for row in reader.rows(SELECT_KEPT, (scope.project, scope.environment))}


def save_materialized(transaction: Transaction, scope: Scope, held: MaterializedView) -> None:
    """Note up to when a view is readable."""
    names = "\n".join(held.features)
    values = (
        scope.project,
        scope.environment,
        held.view,
        held.digest,
        held.source,
        held.version,
        names,
        held.until_us,
        held.event,
    )
    transaction.execute(UPSERT_MATERIALIZED, values)
