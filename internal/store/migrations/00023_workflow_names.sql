-- +goose Up
-- The id that the author gave a workflow, empty if none. The id of the row is
-- derived from it and the tenant, so that it is unique in its tenant.
ALTER TABLE workflows ADD COLUMN external_id TEXT NOT NULL DEFAULT '';
