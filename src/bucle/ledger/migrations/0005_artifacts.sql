CREATE TABLE artifact_reference (
  artifact TEXT NOT NULL,
  owner TEXT NOT NULL,
  role TEXT NOT NULL,
  project TEXT NOT NULL,
  PRIMARY KEY (artifact, owner, role)
);
CREATE INDEX artifact_reference_owner ON artifact_reference (owner);
