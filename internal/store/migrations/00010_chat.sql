-- +goose Up
ALTER TABLE chat_rooms ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE chat_rooms ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0; -- 0 for rooms that are older than this column
-- The latest entry of the room's stream, also when it is not kept any more.
ALTER TABLE chat_rooms ADD COLUMN stream_head BIGINT NOT NULL DEFAULT 0;
-- Messages up to this one are to be answered with silence.
ALTER TABLE chat_rooms ADD COLUMN stopped BIGINT NOT NULL DEFAULT 0;
CREATE INDEX chat_rooms_by_owner ON chat_rooms (owner, changed_at);

-- Who takes part in a room besides its owner.
CREATE TABLE chat_members (
    room_id  TEXT NOT NULL,
    user_id  TEXT NOT NULL,
    added_by TEXT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX chat_members_by_user ON chat_members (user_id);

-- Why an answer ended; empty for what users say and for old answers.
ALTER TABLE chat_messages ADD COLUMN finish TEXT NOT NULL DEFAULT '';

-- The message of a room that is being answered, and by which instance.
CREATE TABLE chat_turns (
    room_id TEXT PRIMARY KEY,
    seq     BIGINT NOT NULL,
    owner   TEXT NOT NULL,
    head    BIGINT NOT NULL -- the latest entry of the stream
);

-- What is said before an answer is complete. Of a turn that is over only the
-- end is kept, until the next begins.
CREATE TABLE chat_stream (
    room_id TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    turn    BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    data    TEXT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq)
);

-- What the assistant would do if it were told to.
CREATE TABLE chat_approvals (
    id          TEXT PRIMARY KEY,
    room_id     TEXT NOT NULL,
    tool        TEXT NOT NULL,
    title       TEXT NOT NULL,
    arguments   TEXT NOT NULL,
    hash        TEXT NOT NULL,
    proposed_at BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    status      TEXT NOT NULL,
    decided_by  TEXT NOT NULL,
    decided_at  BIGINT NOT NULL,
    outcome     TEXT NOT NULL
);
CREATE INDEX chat_approvals_by_room ON chat_approvals (room_id, proposed_at);

-- The old table held at most one for each room, and could not say who decided.
INSERT INTO chat_approvals (id, room_id, tool, title, arguments, hash, proposed_at, expires_at, status, decided_by, decided_at, outcome)
    SELECT room_id, room_id, 'run_workflow', title, '{"workflowID":"' || workflow_id || '","inputValues":' || input || '}', '', 0, 4102444800000000, 'pending', '', 0, '' FROM chat_proposals;
DROP TABLE chat_proposals;

-- Tokens that the assistant has used, by day.
CREATE TABLE chat_usage (
    tenant     TEXT NOT NULL,
    day        TEXT NOT NULL, -- 2026-01-02, in UTC
    prompt     BIGINT NOT NULL,
    completion BIGINT NOT NULL,
    PRIMARY KEY (tenant, day)
);
