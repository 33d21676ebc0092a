-- +goose Up
-- What rooms without a journal of their own published, by number. An entry of
-- history_heads outlives its entries in history, so that numbers never repeat.

CREATE TABLE history (
    room  TEXT NOT NULL,
    seq   BIGINT NOT NULL, -- from 1, without gaps
    event TEXT NOT NULL,
    data  TEXT NOT NULL,
    at    BIGINT NOT NULL,
    PRIMARY KEY (room, seq)
);
CREATE INDEX history_by_age ON history (at);

CREATE TABLE history_heads (
    room    TEXT PRIMARY KEY,
    head    BIGINT NOT NULL, -- the last number that was given out
    trimmed BIGINT NOT NULL  -- entries up to this number are gone
);
CREATE INDEX history_heads_by_length ON history_heads ((head - trimmed));

-- One row, made when the database is first opened: numbers of different epochs
-- do not compare. Whoever restores a backup removes it.
CREATE TABLE history_epoch (
    id    BIGINT PRIMARY KEY,
    epoch TEXT NOT NULL
);
