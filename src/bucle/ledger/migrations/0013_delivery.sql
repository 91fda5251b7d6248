CREATE TABLE check_run (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  author TEXT NOT NULL,
  wanted TEXT NOT NULL,
  state TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  requester TEXT NOT NULL,
  role TEXT NOT NULL,
  cause BIGINT,
  lock TEXT NOT NULL,
  versions TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  ended_us BIGINT,
  event BIGINT
);
CREATE INDEX check_run_commit ON check_run (project, commit_sha);
CREATE INDEX check_run_state ON check_run (state);

CREATE TABLE check_result (
  run TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  tag TEXT,
  outcome TEXT NOT NULL,
  message TEXT NOT NULL,
  findings TEXT NOT NULL,
  log TEXT,
  duration_us BIGINT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (run, attempt, name)
);

CREATE TABLE release (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  lock TEXT NOT NULL,
  versions TEXT NOT NULL,
  digest TEXT NOT NULL,
  author TEXT NOT NULL,
  requester TEXT NOT NULL,
  check_run TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  event BIGINT NOT NULL,
  UNIQUE (project, commit_sha)
);

CREATE TABLE release_deployment (
  position INTEGER PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  release_id TEXT NOT NULL,
  cause TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);
CREATE INDEX release_deployment_environment ON release_deployment (project, environment, position);

CREATE TABLE promotion (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  model TEXT NOT NULL,
  version INTEGER,
  policy TEXT NOT NULL,
  state TEXT NOT NULL,
  requester TEXT NOT NULL,
  authors TEXT NOT NULL,
  approver TEXT,
  note TEXT NOT NULL,
  evidence TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  decided_us BIGINT,
  event BIGINT NOT NULL
);
CREATE INDEX promotion_project ON promotion (project, environment, created_us);

CREATE TABLE rollout (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  promotion TEXT NOT NULL,
  target TEXT NOT NULL,
  left_name TEXT NOT NULL,
  model_version TEXT NOT NULL,
  champion TEXT NOT NULL,
  challenger TEXT NOT NULL,
  policy TEXT NOT NULL,
  kind TEXT NOT NULL,
  maturity BIGINT NOT NULL,
  state TEXT NOT NULL,
  step INTEGER NOT NULL,
  stepped_us BIGINT NOT NULL,
  evidence TEXT NOT NULL,
  prospect TEXT NOT NULL,
  cause TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  ended_us BIGINT,
  event BIGINT NOT NULL,
  last BIGINT NOT NULL
);
CREATE UNIQUE INDEX rollout_running ON rollout (project, environment, service) WHERE state = 'running';
CREATE INDEX rollout_service ON rollout (project, environment, service, event);
CREATE INDEX rollout_promotion ON rollout (promotion);

CREATE TABLE rollout_point (
  rollout TEXT NOT NULL,
  number INTEGER NOT NULL,
  step INTEGER NOT NULL,
  at_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  champion_rows BIGINT NOT NULL,
  champion_failed BIGINT NOT NULL,
  challenger_rows BIGINT NOT NULL,
  challenger_failed BIGINT NOT NULL,
  labelled BIGINT NOT NULL,
  judgements TEXT NOT NULL,
  PRIMARY KEY (rollout, number)
);

CREATE TABLE candidate_check (
  event BIGINT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  model_version TEXT NOT NULL,
  service TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  outcome TEXT NOT NULL,
  message TEXT NOT NULL,
  findings TEXT NOT NULL,
  log TEXT NOT NULL,
  duration_us BIGINT NOT NULL,
  at_us BIGINT NOT NULL
);
CREATE INDEX candidate_check_version ON candidate_check (model_version, event);

CREATE TABLE candidate_waiver (
  event BIGINT PRIMARY KEY,
  model_version TEXT NOT NULL,
  environment TEXT NOT NULL,
  name TEXT NOT NULL,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  reason TEXT NOT NULL,
  at_us BIGINT NOT NULL,
  UNIQUE (model_version, environment, name)
);
