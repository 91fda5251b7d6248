CREATE TABLE data_version (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  source TEXT NOT NULL,
  ordinal BIGINT NOT NULL,
  manifest TEXT NOT NULL,
  row_count BIGINT NOT NULL,
  first_us BIGINT,
  last_us BIGINT,
  raw TEXT NOT NULL,
  rules TEXT NOT NULL,
  spec_digest TEXT NOT NULL,
  schema_digest TEXT,
  profile TEXT NOT NULL,
  outcome TEXT NOT NULL,
  report TEXT NOT NULL,
  validated_event BIGINT NOT NULL,
  judged_by TEXT NOT NULL DEFAULT '',
  created_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);
CREATE UNIQUE INDEX data_version_ordinal ON data_version (project, environment, source, ordinal);
CREATE INDEX data_version_content ON data_version (project, source, spec_digest, raw);

CREATE TABLE data_veto (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  source TEXT NOT NULL,
  version TEXT NOT NULL,
  month TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (version, month)
);

CREATE TABLE data_rules (
  project TEXT NOT NULL,
  source TEXT NOT NULL,
  digest TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  parts TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, source, digest)
);

CREATE TABLE data_schema (
  project TEXT NOT NULL,
  source TEXT NOT NULL,
  digest TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, source, digest)
);

CREATE TABLE data_acceptance (
  project TEXT NOT NULL,
  source TEXT NOT NULL,
  column_name TEXT NOT NULL,
  reason TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, source, column_name, reason)
);

CREATE TABLE data_arrival (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  source TEXT NOT NULL,
  version TEXT NOT NULL,
  until_us BIGINT NOT NULL,
  visible BIGINT NOT NULL,
  PRIMARY KEY (project, environment, source)
);
