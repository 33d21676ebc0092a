-- +goose Up
-- The servers that share the database and are there. A row goes when its server
-- stops; others remove it when it is older than expires_at, by the clock of the
-- database, and mark it with 0 before, when they take over something of it. An
-- id never comes back.
CREATE TABLE instances (
    id         TEXT PRIMARY KEY,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- The instance that a run goes on in; empty is none.
ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT '';

-- The request for input that an entry makes; empty is none.
ALTER TABLE run_log ADD COLUMN request TEXT NOT NULL DEFAULT '';
CREATE INDEX run_log_by_request ON run_log (request) WHERE request <> '';

-- The instance that answers a message of a user, and the number of the answer:
-- 0 while there is none, -1 if it is older than this column.
ALTER TABLE chat_messages ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE chat_messages ADD COLUMN answer BIGINT NOT NULL DEFAULT 0;

-- Answers came in order, one for each message.
UPDATE chat_messages SET answer = -1 WHERE (room_id, seq) IN (
    SELECT said.room_id, said.seq FROM
        (SELECT room_id, seq, ROW_NUMBER() OVER (PARTITION BY room_id ORDER BY seq) AS n FROM chat_messages WHERE speaker = 'user') AS said
        JOIN (SELECT room_id, COUNT(*) AS n FROM chat_messages WHERE speaker = 'bot' GROUP BY room_id) AS answers
        ON answers.room_id = said.room_id AND said.n <= answers.n
);
CREATE INDEX chat_messages_open ON chat_messages (room_id, seq) WHERE speaker = 'user' AND answer = 0;
