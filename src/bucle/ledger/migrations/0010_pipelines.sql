CREATE TABLE pipeline_run (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  trigger_kind TEXT NOT NULL,
  engine TEXT NOT NULL,
  state TEXT NOT NULL,
  request TEXT NOT NULL,
  code TEXT NOT NULL,
  configuration TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  lease_us BIGINT NOT NULL,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  started_us BIGINT NOT NULL,
  ended_us BIGINT,
  output TEXT,
  failure TEXT,
  model_version TEXT,
  event BIGINT NOT NULL,
  ended_event BIGINT
);
CREATE INDEX pipeline_run_project ON pipeline_run (project, environment, pipeline, started_us);
CREATE INDEX pipeline_run_state ON pipeline_run (state);

CREATE TABLE step (
  id TEXT PRIMARY KEY,
  run TEXT NOT NULL,
  call TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  key TEXT,
  parts TEXT,
  plan TEXT NOT NULL,
  output TEXT,
  hit_of TEXT,
  miss TEXT NOT NULL,
  tracking_run TEXT,
  failure TEXT,
  attempts BIGINT NOT NULL,
  planned_us BIGINT NOT NULL,
  started_us BIGINT,
  ended_us BIGINT,
  event BIGINT,
  UNIQUE (run, call)
);

CREATE TABLE attempt (
  step TEXT NOT NULL,
  number BIGINT NOT NULL,
  state TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  lease_us BIGINT NOT NULL,
  started_us BIGINT NOT NULL,
  ended_us BIGINT,
  pid BIGINT,
  node TEXT,
  reason TEXT,
  log TEXT,
  PRIMARY KEY (step, number)
);
CREATE INDEX attempt_state ON attempt (state);

CREATE TABLE step_cache (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  key TEXT NOT NULL,
  settings TEXT NOT NULL,
  name TEXT NOT NULL,
  step TEXT NOT NULL,
  run TEXT NOT NULL,
  parts TEXT NOT NULL,
  output TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  PRIMARY KEY (project, environment, key, settings)
);
CREATE INDEX step_cache_name ON step_cache (project, environment, name, created_us);

CREATE TABLE trigger_firing (
  event BIGINT NOT NULL,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  pipeline TEXT NOT NULL,
  kind TEXT NOT NULL,
  run TEXT,
  PRIMARY KEY (event, project, environment, pipeline, kind)
);

CREATE TABLE new_rows (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  source TEXT NOT NULL,
  event BIGINT NOT NULL,
  rows BIGINT NOT NULL,
  PRIMARY KEY (project, environment, source, event)
);

CREATE TABLE step_read (
  step TEXT NOT NULL,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  place TEXT,
  opened INTEGER NOT NULL,
  in_key INTEGER NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (step, kind, name)
);
