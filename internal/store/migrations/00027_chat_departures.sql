-- +goose Up
-- Clients of users that have gone and may come back, and how far they were
-- brought: the cursor of the user may be that of another client.
CREATE TABLE chat_departures (
    room_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    id      TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id, id)
);
