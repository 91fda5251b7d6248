CREATE TABLE online_feature (
  scope TEXT NOT NULL,
  view TEXT NOT NULL,
  key TEXT NOT NULL,
  event_us BIGINT NOT NULL,
  created_us BIGINT NOT NULL,
  tie BIGINT NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (scope, view, key)
);

CREATE TABLE materialized_view (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  view TEXT NOT NULL,
  digest TEXT NOT NULL,
  source TEXT NOT NULL,
  version TEXT NOT NULL,
  features TEXT NOT NULL,
  until_us BIGINT NOT NULL,
  event BIGINT,
  PRIMARY KEY (project, environment, view, digest)
);

CREATE TABLE kept_view (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  view TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, environment, view)
);

CREATE TABLE feature_rules (
  project TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  event BIGINT NOT NULL,
  PRIMARY KEY (project, kind, name, digest, commit_sha)
);
CREATE INDEX feature_rules_event ON feature_rules (project, event);
