-- +goose Up
-- The answer that proposed it; 0 for those that are older than this column.
ALTER TABLE chat_approvals ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE chat_approvals ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
UPDATE chat_approvals SET tenant = COALESCE((SELECT tenant FROM chat_rooms WHERE chat_rooms.id = chat_approvals.room_id), '');
-- Of what its arguments were made for; empty if the tool knows of none.
ALTER TABLE chat_approvals ADD COLUMN version TEXT NOT NULL DEFAULT '';
-- What who decided was in the tenant.
ALTER TABLE chat_approvals ADD COLUMN decided_as TEXT NOT NULL DEFAULT '';
ALTER TABLE chat_approvals ADD COLUMN reason TEXT NOT NULL DEFAULT '';
-- The instance that does what is approved; and whether it is done, and well.
ALTER TABLE chat_approvals ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE chat_approvals ADD COLUMN done BIGINT NOT NULL DEFAULT 0;
ALTER TABLE chat_approvals ADD COLUMN ok BIGINT NOT NULL DEFAULT 0;
ALTER TABLE chat_approvals ADD COLUMN instance_id TEXT NOT NULL DEFAULT '';
CREATE INDEX chat_approvals_pending ON chat_approvals (expires_at) WHERE status = 'pending';
CREATE INDEX chat_approvals_undone ON chat_approvals (room_id) WHERE status = 'approved' AND done = 0;

UPDATE chat_approvals SET tool = 'workflow_run' WHERE tool = 'run_workflow';
-- Before there were outcomes, what was approved was done by its message.
UPDATE chat_approvals SET done = 1 WHERE status = 'approved';
