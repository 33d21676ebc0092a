-- +goose Up
-- Times are microseconds since 1970. JSON is text.

CREATE TABLE workflows (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    title      TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX workflows_by_tenant ON workflows (tenant, title);

-- A run keeps the definition that it began with.
CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    title       TEXT NOT NULL,
    status      TEXT NOT NULL,
    definition  TEXT NOT NULL,
    started_by  TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    error       TEXT NOT NULL
);
CREATE INDEX runs_by_tenant ON runs (tenant, started_at);
CREATE INDEX runs_by_workflow ON runs (workflow_id, started_at);
CREATE INDEX runs_unfinished ON runs (status) WHERE status IN ('PENDING', 'RUNNING');

CREATE TABLE run_log (
    run_id TEXT NOT NULL,
    seq    BIGINT NOT NULL,
    type   TEXT NOT NULL,
    node   TEXT NOT NULL,
    data   TEXT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE chat_rooms (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL, -- empty until the first message says which
    owner      TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE chat_messages (
    room_id TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    speaker TEXT NOT NULL, -- user or bot
    user_id TEXT NOT NULL,
    text    TEXT NOT NULL,
    action  TEXT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq)
);

-- What the assistant has proposed in a room and nobody has decided on.
CREATE TABLE chat_proposals (
    room_id     TEXT PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    title       TEXT NOT NULL,
    input       TEXT NOT NULL
);

CREATE TABLE widgets (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE listeners (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL, -- listener or app_page
    title      TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX listeners_by_tenant ON listeners (tenant, title);
