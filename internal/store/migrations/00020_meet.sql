-- +goose Up
-- Meetings. A row stays for a while after the last participant has left, so
-- that the numbers of its changes go on.
CREATE TABLE meet_rooms (
    room    TEXT PRIMARY KEY, -- with its tenant
    version BIGINT NOT NULL   -- of who is there; microseconds since 1970 at least
);

-- Who is in which meeting, and on which instance.
CREATE TABLE meet_participants (
    seat    TEXT PRIMARY KEY, -- what the server alone calls the participant
    room    TEXT NOT NULL,
    id      TEXT NOT NULL,    -- what the others call it
    name    TEXT NOT NULL,
    muted   BIGINT NOT NULL,  -- 0 or 1
    owner   TEXT NOT NULL,
    since   BIGINT NOT NULL,  -- the version that it came with
    UNIQUE (room, id)
);
CREATE INDEX meet_participants_by_owner ON meet_participants (owner);
