CREATE TABLE principal (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  created_us BIGINT NOT NULL
);

CREATE TABLE token (
  id TEXT PRIMARY KEY,
  principal TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL,
  project TEXT NOT NULL,
  environment TEXT NOT NULL,
  created_us BIGINT NOT NULL,
  expires_us BIGINT,
  last_used_us BIGINT,
  revoked_us BIGINT,
  event BIGINT
);
CREATE INDEX token_principal ON token (principal);
