"""How principals and tokens live in the ledger."""

INSERT_PRINCIPAL = """
INSERT INTO principal (id, name, kind, created_us) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET kind = excluded.kind
RETURNING id
"""
INSERT_TOKEN = """
INSERT INTO token (id, principal, sha256, role, project, environment, created_us, expires_us, event)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
SELECT_TOKEN = """
SELECT token.*, principal.name, principal.kind FROM token JOIN principal ON principal.id = token.principal
WHERE token.sha256 = ? AND token.revoked_us IS NULL
"""
SELECT_TOKENS = """
SELECT token.*, principal.name, principal.kind FROM token JOIN principal ON principal.id = token.principal
ORDER BY token.created_us, token.id
"""
COUNT_VALID = "SELECT count(*) FROM token WHERE revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?)"
TOUCH = "UPDATE token SET last_used_us = ? WHERE id = ?"
REVOKE = "UPDATE token SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL"
SELECT_BY_ID = """
SELECT token.*, principal.name, principal.kind FROM token JOIN principal ON principal.id = token.principal
WHERE token.id = ? AND token.revoked_us IS NULL
"""
