"""How dataset versions, rules, schemas and arrivals live in the ledger."""

INSERT_VERSION = """
INSERT INTO data_version (id, project, environment, source, ordinal, manifest, row_count, first_us, last_us, raw, rules,
  spec_digest, schema_digest, profile, outcome, report, validated_event, created_us, event)
VALUES (?, ?, ?, ?,
  (SELECT coalesce(max(ordinal), 0) + 1 FROM data_version WHERE project = ? AND environment = ? AND source = ?),
  ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_VERSION = "SELECT * FROM data_version WHERE id = ?"
SELECT_VERSIONS = """
SELECT * FROM data_version WHERE project = ? AND environment = ? AND (? = '' OR source = ?) ORDER BY source, ordinal DESC
"""
SELECT_CURRENT = """
SELECT * FROM data_version v WHERE project = ? AND environment = ? AND ordinal = (
  SELECT max(ordinal) FROM data_version w
  WHERE w.project = v.project AND w.environment = v.environment AND w.source = v.source AND w.outcome <> 'stop')
ORDER BY source
"""
SELECT_FITTING = """
SELECT * FROM data_version WHERE project = ? AND environment = ? AND source = ? AND spec_digest = ? AND outcome <> 'stop'
ORDER BY ordinal DESC LIMIT 1
"""
SELECT_LATEST = """
SELECT * FROM data_version WHERE project = ? AND environment = ? AND source = ? AND spec_digest = ?
ORDER BY ordinal DESC LIMIT 1
"""
SELECT_TWIN = """
SELECT * FROM data_version WHERE project = ? AND source = ? AND spec_digest = ? AND raw = ? ORDER BY event DESC LIMIT 1
"""
UPDATE_VALIDATION = """
UPDATE data_version SET schema_digest = ?, outcome = ?, report = ?, validated_event = ?, judged_by = ? WHERE id = ?
"""
DELETE_VETOES = "DELETE FROM data_veto WHERE version = ?"
INSERT_VETO = """
INSERT INTO data_veto (project, environment, source, version, month, event) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
SELECT_VETOES = "SELECT month FROM data_veto WHERE version = ? ORDER BY month"
SELECT_RULES = "SELECT * FROM data_rules WHERE project = ? AND source = ? AND digest = ?"
SELECT_RULES_BEFORE = "SELECT * FROM data_rules WHERE project = ? AND source = ? ORDER BY event DESC LIMIT 1"
INSERT_RULES = """
INSERT INTO data_rules (project, source, digest, commit_sha, parts, event) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
SELECT_SCHEMA = "SELECT event FROM data_schema WHERE project = ? AND source = ? AND digest = ?"
INSERT_SCHEMA = "INSERT INTO data_schema (project, source, digest, event) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
SELECT_ACCEPTANCE = """
SELECT event FROM data_acceptance WHERE project = ? AND source = ? AND column_name = ? AND reason = ?
"""
INSERT_ACCEPTANCE = "INSERT INTO data_acceptance (project, source, column_name, reason, event) VALUES (?, ?, ?, ?, ?)"
SELECT_ARRIVALS = "SELECT source, version, until_us, visible FROM data_arrival WHERE project = ? AND environment = ?"
UPSERT_ARRIVAL = """
INSERT INTO data_arrival (project, environment, source, version, until_us, visible) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (project, environment, source)
DO UPDATE SET version = excluded.version, until_us = excluded.until_us, visible = excluded.visible
"""
HAS_VERSIONS = "SELECT 1 FROM data_version WHERE project = ? AND environment = ? LIMIT 1"
