CREATE TABLE runtime (
  digest TEXT PRIMARY KEY,
  python TEXT NOT NULL,
  packages TEXT NOT NULL,
  installed_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);

CREATE TABLE described_commit (
  project TEXT NOT NULL,
  commit_sha TEXT NOT NULL,
  runtime TEXT NOT NULL,
  document TEXT NOT NULL,
  PRIMARY KEY (project, commit_sha, runtime)
);
