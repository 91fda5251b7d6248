CREATE TABLE experiment (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  name TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  stage TEXT NOT NULL DEFAULT 'active',
  event BIGINT,
  UNIQUE (project, name)
);

CREATE TABLE experiment_tag (
  experiment TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (experiment, name)
);

CREATE TABLE run (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  experiment TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  purpose TEXT NOT NULL,
  parent TEXT,
  status TEXT NOT NULL,
  started_us BIGINT NOT NULL,
  ended_us BIGINT,
  touched_us BIGINT NOT NULL,
  commit_sha TEXT,
  dirty INTEGER NOT NULL,
  lock_digest TEXT,
  as_of_us BIGINT,
  seed BIGINT,
  engine TEXT NOT NULL,
  error TEXT,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  batches BIGINT NOT NULL,
  event BIGINT NOT NULL,
  ended_event BIGINT,
  stage TEXT NOT NULL DEFAULT 'active'
);
CREATE INDEX run_project ON run (project, started_us);
CREATE INDEX run_experiment ON run (project, experiment, started_us);
CREATE INDEX run_parent ON run (parent);
CREATE INDEX run_status ON run (status, kind);

CREATE TABLE run_data (
  run TEXT NOT NULL,
  source TEXT NOT NULL,
  version TEXT NOT NULL,
  PRIMARY KEY (run, source, version)
);

CREATE TABLE run_param (
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, name)
);

CREATE TABLE run_tag (
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, name)
);

CREATE TABLE run_metric (
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  step BIGINT NOT NULL,
  at_us BIGINT NOT NULL,
  value DOUBLE PRECISION,
  special TEXT
);
CREATE INDEX run_metric_series ON run_metric (run, name, step, at_us);

CREATE TABLE run_metric_last (
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  step BIGINT NOT NULL,
  at_us BIGINT NOT NULL,
  value DOUBLE PRECISION,
  special TEXT,
  points BIGINT NOT NULL,
  PRIMARY KEY (run, name)
);

CREATE TABLE run_artifact (
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  artifact TEXT NOT NULL,
  size BIGINT NOT NULL,
  PRIMARY KEY (run, name)
);

CREATE TABLE run_note (
  run TEXT NOT NULL,
  ordinal BIGINT NOT NULL,
  kind TEXT NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (run, ordinal)
);

CREATE TABLE run_setting (
  run TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (run, name, value)
);

CREATE TABLE run_upload (
  run TEXT NOT NULL,
  artifact TEXT NOT NULL,
  PRIMARY KEY (run, artifact)
);

CREATE TABLE logged_model (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  experiment TEXT NOT NULL,
  name TEXT NOT NULL,
  model_type TEXT NOT NULL,
  source_run TEXT,
  status TEXT NOT NULL,
  stage TEXT NOT NULL DEFAULT 'active',
  created_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);
CREATE INDEX logged_model_experiment ON logged_model (project, experiment, created_us);
CREATE INDEX logged_model_source ON logged_model (source_run);

CREATE TABLE logged_model_param (
  model TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model, name)
);

CREATE TABLE logged_model_tag (
  model TEXT NOT NULL,
  name TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (model, name)
);

CREATE TABLE logged_model_file (
  model TEXT NOT NULL,
  name TEXT NOT NULL,
  artifact TEXT NOT NULL,
  size BIGINT NOT NULL,
  PRIMARY KEY (model, name)
);
