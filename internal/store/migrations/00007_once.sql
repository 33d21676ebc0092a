-- +goose Up
-- What clients asked to happen once, by the id that they gave it.
CREATE TABLE once (
    user_id TEXT NOT NULL,
    event   TEXT NOT NULL,
    id      TEXT NOT NULL,
    hash    TEXT NOT NULL,   -- of the payload
    seed    TEXT NOT NULL,   -- what the ids of its effects are derived from
    until   BIGINT NOT NULL, -- when whoever is at it is given up; 0 when it is done
    reply   TEXT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (user_id, event, id)
);
CREATE INDEX once_by_age ON once (at);

-- Effects are found by these: '' for what was not asked to happen once.
ALTER TABLE chat_messages ADD COLUMN once_key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX chat_messages_once ON chat_messages (room_id, once_key) WHERE once_key <> '';
ALTER TABLE history ADD COLUMN once_key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX history_once ON history (room, once_key) WHERE once_key <> '';
