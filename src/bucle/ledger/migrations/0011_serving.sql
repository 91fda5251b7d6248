CREATE TABLE deployment (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  model_version TEXT NOT NULL,
  package TEXT NOT NULL,
  runtime TEXT NOT NULL,
  root TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  release_id TEXT NOT NULL,
  contract TEXT NOT NULL,
  state TEXT NOT NULL,
  strategy TEXT NOT NULL,
  replaced TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);
CREATE UNIQUE INDEX deployment_current ON deployment (project, environment, service) WHERE state = 'current';
CREATE INDEX deployment_service ON deployment (project, environment, service, event);

CREATE TABLE traffic_split (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  rollout TEXT NOT NULL,
  step INTEGER NOT NULL,
  challenger TEXT NOT NULL,
  mode TEXT NOT NULL,
  share INTEGER NOT NULL,
  PRIMARY KEY (project, environment, service)
);

CREATE TABLE rollout_observation (
  position INTEGER PRIMARY KEY,
  rollout TEXT NOT NULL,
  step INTEGER NOT NULL,
  arm TEXT NOT NULL,
  rows BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  seconds REAL,
  cause TEXT NOT NULL,
  request TEXT NOT NULL,
  at_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL
);
CREATE INDEX rollout_observation_rollout ON rollout_observation (rollout, position);

CREATE TABLE shadow_prediction (
  prediction TEXT NOT NULL,
  rollout TEXT NOT NULL,
  deployment TEXT NOT NULL,
  output REAL,
  cause TEXT NOT NULL,
  counted INTEGER NOT NULL,
  at_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  PRIMARY KEY (prediction, rollout)
);
CREATE INDEX shadow_prediction_rollout ON shadow_prediction (rollout, counted);

CREATE TABLE prediction (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  deployment TEXT NOT NULL,
  model_version TEXT NOT NULL,
  event BIGINT NOT NULL,
  logged BIGINT NOT NULL,
  key TEXT,
  request TEXT NOT NULL,
  caller TEXT NOT NULL,
  client TEXT NOT NULL,
  store TEXT NOT NULL,
  at_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  inputs TEXT NOT NULL,
  output REAL NOT NULL
);
CREATE INDEX prediction_key ON prediction (project, environment, service, key, as_of_us);
CREATE INDEX prediction_as_of ON prediction (project, environment, service, as_of_us);
CREATE INDEX prediction_logged ON prediction (logged);
CREATE INDEX prediction_request ON prediction (request);

CREATE TABLE prediction_spool (
  segment TEXT PRIMARY KEY,
  shipped BIGINT NOT NULL
);

CREATE TABLE label (
  prediction TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  value REAL NOT NULL,
  observed_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  caller TEXT NOT NULL,
  corrections INTEGER NOT NULL,
  event BIGINT NOT NULL
);
CREATE INDEX label_observed ON label (project, environment, service, observed_us);
CREATE INDEX label_as_of ON label (project, environment, service, as_of_us);

CREATE TABLE serving_traffic (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  at_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  predictions BIGINT NOT NULL,
  refused BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  nonfinite BIGINT NOT NULL,
  unseen BIGINT NOT NULL,
  buckets TEXT NOT NULL
);
CREATE INDEX serving_traffic_as_of ON serving_traffic (project, environment, service, as_of_us);

CREATE TABLE prediction_reader (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  reader TEXT NOT NULL,
  client TEXT NOT NULL,
  day_us BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  predictions BIGINT NOT NULL,
  last_us BIGINT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, environment, service, reader, client, day_us)
);
