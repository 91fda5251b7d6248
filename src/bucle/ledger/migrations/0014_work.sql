CREATE TABLE work_item (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  description TEXT NOT NULL,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  priority INTEGER NOT NULL,
  assignee TEXT,
  feature TEXT,
  opened_by TEXT NOT NULL,
  source_event TEXT UNIQUE,
  created_us BIGINT NOT NULL,
  due_us BIGINT,
  closed_us BIGINT,
  resolution TEXT,
  event BIGINT NOT NULL,
  said TEXT
);
CREATE INDEX work_item_project ON work_item (project, state, created_us);

CREATE TABLE work_link (
  item TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  PRIMARY KEY (item, kind, target)
);
CREATE INDEX work_link_target ON work_link (target);

CREATE TABLE work_comment (
  id TEXT PRIMARY KEY,
  item TEXT NOT NULL,
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  event BIGINT NOT NULL
);
CREATE INDEX work_comment_item ON work_comment (item, created_us);
