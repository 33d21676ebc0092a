-- +goose Up
CREATE TABLE api_keys (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    prefix      TEXT NOT NULL, -- the first 8 characters
    sha256      TEXT NOT NULL, -- of all 64, which are nowhere
    user_id     TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    role        TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT NOT NULL
);
CREATE INDEX api_keys_by_prefix ON api_keys (prefix);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);

-- A log that every server reads to its end again and again: it only grows.
CREATE TABLE revocations (
    seq     BIGINT PRIMARY KEY,
    kind    TEXT NOT NULL, -- token, user or key
    subject TEXT NOT NULL,
    at      BIGINT NOT NULL,
    by_user TEXT NOT NULL,
    reason  TEXT NOT NULL
);
