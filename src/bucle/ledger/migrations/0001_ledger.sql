CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  at_us BIGINT NOT NULL,
  as_of_us BIGINT NOT NULL,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  kind TEXT NOT NULL,
  version INTEGER NOT NULL,
  subject TEXT NOT NULL,
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE INDEX event_kind ON event (kind, seq);
CREATE INDEX event_subject ON event (subject, seq);
CREATE INDEX event_project ON event (project, seq);

CREATE TABLE event_cause (
  seq BIGINT NOT NULL,
  cause BIGINT NOT NULL,
  PRIMARY KEY (seq, cause)
);
CREATE INDEX event_cause_cause ON event_cause (cause);

CREATE TABLE lineage_node (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  project TEXT NOT NULL,
  event BIGINT
);

CREATE TABLE lineage_edge (
  source TEXT NOT NULL,
  target TEXT NOT NULL,
  role TEXT NOT NULL,
  event BIGINT,
  PRIMARY KEY (source, target, role)
);
CREATE INDEX lineage_edge_target ON lineage_edge (target);

CREATE TABLE subscription (
  name TEXT PRIMARY KEY,
  cursor BIGINT NOT NULL
);

CREATE TABLE clock (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL,
  now_us BIGINT NOT NULL
);

CREATE TABLE durability (
  id INTEGER PRIMARY KEY,
  kind TEXT NOT NULL
);

CREATE TABLE request (
  name TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  at_us BIGINT NOT NULL,
  events TEXT NOT NULL,
  status INTEGER,
  answer TEXT
);
CREATE INDEX request_at ON request (at_us);
