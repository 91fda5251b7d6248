"""How installed runtimes and described commits live in the ledger."""

SELECT_RUNTIME = "SELECT * FROM runtime WHERE digest = ?"
SELECT_RUNTIMES = "SELECT * FROM runtime ORDER BY installed_us"
UPSERT_RUNTIME = """
INSERT INTO runtime (digest, python, packages, installed_us, event) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET python = excluded.python, packages = excluded.packages,
  installed_us = excluded.installed_us, event = excluded.event
"""
SELECT_DESCRIPTION = "SELECT document FROM described_commit WHERE project = ? AND commit_sha = ? AND runtime = ?"
INSERT_DESCRIPTION = """
INSERT INTO described_commit (project, commit_sha, runtime, document) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
SELECT_DESCRIBED = "SELECT document FROM described_commit WHERE project = ? AND commit_sha = ? LIMIT 1"
