"""How references to artifacts live in the ledger."""

INSERT_REFERENCE = """
INSERT INTO artifact_reference (artifact, owner, role, project) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
DELETE_REFERENCES = "DELETE FROM artifact_reference WHERE owner = ?"
SELECT_REFERENCES = "SELECT * FROM artifact_reference WHERE artifact = ? ORDER BY owner, role"
SELECT_REFERENCED = """
SELECT DISTINCT artifact FROM artifact_reference
UNION SELECT id FROM lineage_node WHERE id LIKE 'blake3:%'
UNION SELECT source FROM lineage_edge WHERE source LIKE 'blake3:%'
UNION SELECT target FROM lineage_edge WHERE target LIKE 'blake3:%'
"""
