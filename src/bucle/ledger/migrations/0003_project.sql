CREATE TABLE project (
  name TEXT PRIMARY KEY,
  definitions TEXT NOT NULL,
  root TEXT NOT NULL,
  charter TEXT NOT NULL,
  charter_event BIGINT,
  decision TEXT NOT NULL,
  decision_event BIGINT,
  created_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);

CREATE TABLE environment (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  release_id TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  lock_digest TEXT NOT NULL,
  changed_us BIGINT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, environment)
);
