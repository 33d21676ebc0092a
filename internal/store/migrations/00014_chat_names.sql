-- +goose Up
-- The message that an answer is about; 0 for what users say and for old answers.
ALTER TABLE chat_messages ADD COLUMN reply_to BIGINT NOT NULL DEFAULT 0;

-- How far users have been brought whose clients do not say so themselves.
CREATE TABLE chat_cursors (
    room_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);
