-- +goose Up
-- The definitions that runs began with, each once. Rows of runs that are older
-- than this table have theirs in runs.definition, and no definition_hash; in
-- newer ones it is the other way round.
CREATE TABLE definitions (
    hash       TEXT PRIMARY KEY,
    definition TEXT NOT NULL
);
ALTER TABLE runs ADD COLUMN definition_hash TEXT NOT NULL DEFAULT '';

-- What carries a run on.
ALTER TABLE runs ADD COLUMN engine TEXT NOT NULL DEFAULT 'embedded';

-- The run that waits for a run, empty if none, and how many are above it.
ALTER TABLE runs ADD COLUMN parent TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN depth BIGINT NOT NULL DEFAULT 0;
CREATE INDEX runs_by_parent ON runs (parent) WHERE parent <> '';

-- The pass of the loops around a node; empty is outside of loops.
ALTER TABLE run_log ADD COLUMN iteration TEXT NOT NULL DEFAULT '';
