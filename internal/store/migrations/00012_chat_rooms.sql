-- +goose Up
-- The session that said a message; empty for answers and old messages.
ALTER TABLE chat_messages ADD COLUMN session TEXT NOT NULL DEFAULT '';

-- Rooms that are older than the column are listed by what was said last.
UPDATE chat_rooms SET changed_at = COALESCE((SELECT MAX(at) FROM chat_messages WHERE room_id = chat_rooms.id), created_at) WHERE changed_at = 0;
