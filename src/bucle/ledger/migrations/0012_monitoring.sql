CREATE TABLE watch (
  deployment TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  terms TEXT NOT NULL,
  reference TEXT,
  state TEXT NOT NULL,
  since_us BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  ended INTEGER NOT NULL,
  deployed BIGINT NOT NULL,
  event BIGINT NOT NULL
);
CREATE INDEX watch_service ON watch (project, environment, service, event);

CREATE TABLE monitoring_window (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  deployment TEXT NOT NULL,
  since_us BIGINT NOT NULL,
  until_us BIGINT NOT NULL,
  report TEXT NOT NULL,
  event BIGINT NOT NULL
);
CREATE INDEX monitoring_window_service ON monitoring_window (project, environment, service, until_us);

CREATE TABLE alert (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  deployment TEXT NOT NULL,
  kind TEXT NOT NULL,
  feature TEXT NOT NULL,
  state TEXT NOT NULL,
  said TEXT NOT NULL,
  numbers TEXT NOT NULL,
  fired_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  note TEXT NOT NULL,
  noted TEXT,
  event BIGINT NOT NULL
);
CREATE INDEX alert_service ON alert (project, environment, service, fired_us);
CREATE UNIQUE INDEX alert_open ON alert (project, environment, service, kind, feature) WHERE state <> 'resolved';

CREATE TABLE alert_delivery (
  id TEXT PRIMARY KEY,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  route TEXT NOT NULL,
  alert TEXT NOT NULL,
  alert_state TEXT NOT NULL,
  event BIGINT NOT NULL,
  notice TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_us BIGINT NOT NULL,
  changed_us BIGINT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX alert_delivery_waiting ON alert_delivery (state, due_us);
CREATE INDEX alert_delivery_alert ON alert_delivery (project, environment, alert);

CREATE TABLE objective_slot (
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  service TEXT NOT NULL,
  indicator TEXT NOT NULL,
  slot_us BIGINT NOT NULL,
  requests BIGINT NOT NULL,
  bad BIGINT NOT NULL,
  PRIMARY KEY (project, environment, service, indicator, slot_us)
);
