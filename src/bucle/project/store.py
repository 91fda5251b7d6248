"""How projects and the pointers of their environments live in the ledger."""

SELECT_PROJECT = "SELECT * FROM project WHERE name = ?"
SELECT_PROJECTS = "SELECT * FROM project ORDER BY name"
INSERT_PROJECT = """
INSERT INTO project (name, definitions, root, charter, decision, created_us, event) VALUES (?, ?, '', '', '', ?, ?)
"""
UPDATE_DEFINITIONS = "UPDATE project SET definitions = ? WHERE name = ?"
UPDATE_ROOT = "UPDATE project SET root = ? WHERE name = ?"
UPDATE_CHARTER = "UPDATE project SET charter = ?, charter_event = ? WHERE name = ?"
UPDATE_DECISION = "UPDATE project SET decision = ?, decision_event = ? WHERE name = ?"

UPSERT_ENVIRONMENT = """
INSERT INTO environment (project, environment, release_id, commit_sha, lock_digest, changed_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (project, environment) DO UPDATE SET release_id = excluded.release_id, commit_sha = excluded.commit_sha,
  lock_digest = excluded.lock_digest, changed_us = excluded.changed_us, event = excluded.event
"""
SELECT_ENVIRONMENT = "SELECT * FROM environment WHERE project = ? AND environment = ?"
SELECT_ENVIRONMENTS = "SELECT * FROM environment WHERE project = ? ORDER BY environment"
