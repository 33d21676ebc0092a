-- +goose Up
-- The session that said a message; empty for answers and old messages.
ALTER TABLE chat_messages ADD COLUMN session TEXT NOT NULL DEFAULT '';
