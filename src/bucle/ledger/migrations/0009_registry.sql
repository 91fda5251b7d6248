CREATE TABLE model_version (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  model TEXT NOT NULL,
  version BIGINT NOT NULL,
  run TEXT,
  package TEXT NOT NULL,
  artifact TEXT NOT NULL,
  description TEXT NOT NULL,
  evaluation TEXT,
  findings TEXT,
  stage TEXT NOT NULL,
  previous TEXT,
  commit_sha TEXT,
  lock_digest TEXT,
  as_of_us BIGINT,
  created_us BIGINT NOT NULL,
  actor TEXT NOT NULL,
  event BIGINT NOT NULL,
  retired TEXT,
  UNIQUE (project, model, version)
);
CREATE INDEX model_version_stage ON model_version (project, model, stage);
CREATE INDEX model_version_run ON model_version (run);

CREATE TABLE model_gate (
  model_version TEXT NOT NULL,
  ordinal BIGINT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  passed INTEGER NOT NULL,
  evidence TEXT NOT NULL,
  reason TEXT NOT NULL,
  event BIGINT NOT NULL,
  said TEXT,
  PRIMARY KEY (model_version, name)
);

CREATE TABLE gate_waiver (
  model_version TEXT NOT NULL,
  gate TEXT NOT NULL,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  reason TEXT NOT NULL,
  at_us BIGINT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (model_version, gate)
);

CREATE TABLE model_alias (
  project TEXT NOT NULL,
  model TEXT NOT NULL,
  alias TEXT NOT NULL,
  model_version TEXT,
  at_us BIGINT NOT NULL,
  actor TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, model, alias, event)
);
