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
