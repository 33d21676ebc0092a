package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
)

// Workflows are the workflows and runs in a database.
type Workflows struct{ db *DB }

var _ workflow.Store = Workflows{}

// Workflows returns the workflows and runs.
func (db *DB) Workflows() Workflows { return Workflows{db} }

// CreateWorkflow implements [workflow.Store].
func (s Workflows) CreateWorkflow(ctx context.Context, w workflow.Workflow) error {
	def, err := json.Marshal(w.Definition)
	if err != nil {
		return err
	}
	_, err = s.db.exec(ctx, `INSERT INTO workflows (id, tenant, title, definition, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		w.ID, w.Tenant, w.Title, string(def), w.CreatedBy, micros(w.CreatedAt), micros(w.UpdatedAt))
	return err
}

// UpdateWorkflow implements [workflow.Store].
func (s Workflows) UpdateWorkflow(ctx context.Context, w workflow.Workflow) error {
	def, err := json.Marshal(w.Definition)
	if err != nil {
		return err
	}
	res, err := s.db.exec(ctx, `UPDATE workflows SET title = ?, definition = ?, updated_at = ? WHERE id = ?`, w.Title, string(def), micros(w.UpdatedAt), w.ID)
	return affected(res, err, workflow.ErrNotFound)
}

// DeleteWorkflow implements [workflow.Store].
func (s Workflows) DeleteWorkflow(ctx context.Context, id string) error {
	res, err := s.db.exec(ctx, `DELETE FROM workflows WHERE id = ?`, id)
	return affected(res, err, workflow.ErrNotFound)
}

const workflowColumns = `SELECT id, tenant, title, definition, created_by, created_at, updated_at FROM workflows `

func scanWorkflow(row scanner) (workflow.Workflow, error) {
	var w workflow.Workflow
	var def string
	var created, updated int64
	if err := row.Scan(&w.ID, &w.Tenant, &w.Title, &def, &w.CreatedBy, &created, &updated); err != nil {
		return w, err
	}
	w.CreatedAt, w.UpdatedAt = fromMicros(created), fromMicros(updated)
	return w, json.Unmarshal([]byte(def), &w.Definition)
}

// Workflow implements [workflow.Store].
func (s Workflows) Workflow(ctx context.Context, id string) (workflow.Workflow, error) {
	w, err := scanWorkflow(s.db.row(ctx, workflowColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return w, workflow.ErrNotFound
	}
	return w, err
}

// Workflows implements [workflow.Store].
func (s Workflows) Workflows(ctx context.Context, tenant string) ([]workflow.Workflow, error) {
	return list(ctx, s.db, scanWorkflow, workflowColumns+`WHERE tenant = ? ORDER BY title, id`, tenant)
}

// CreateRun implements [workflow.Store].
func (s Workflows) CreateRun(ctx context.Context, r workflow.Run, log []workflow.Entry) error {
	def, err := json.Marshal(r.Definition)
	if err != nil {
		return err
	}
	return s.db.tx(ctx, func(tx transaction) error {
		_, err := tx.exec(`INSERT INTO runs (id, workflow_id, tenant, title, status, definition, started_by, started_at, ended_at, error, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.WorkflowID, r.Tenant, r.Title, string(r.Status), string(def), r.StartedBy, micros(r.StartedAt), micros(r.EndedAt), r.Error, r.Owner)
		if err != nil {
			return err
		}
		return appendLog(tx, r.ID, log)
	})
}

// Append implements [workflow.Store].
func (s Workflows) Append(ctx context.Context, runID, owner string, log []workflow.Entry, end *workflow.End) error {
	return s.db.tx(ctx, func(tx transaction) error {
		status, at, message := string(events.RunRunning), int64(0), ""
		if end != nil {
			status, at, message = string(end.Status), micros(end.At), end.Error
		}
		res, err := tx.exec(`UPDATE runs SET status = ?, ended_at = ?, error = ? WHERE id = ? AND owner = ? AND status IN ('PENDING', 'RUNNING')`,
			status, at, message, runID, owner)
		if err := affected(res, err, errUnchanged); errors.Is(err, errUnchanged) {
			return notWritable(tx, runID, owner)
		} else if err != nil {
			return err
		}
		return appendLog(tx, runID, log)
	})
}

var errUnchanged = errors.New("nothing was changed")

// notWritable says why a run takes no entries.
func notWritable(tx transaction, runID, owner string) error {
	var now string
	err := tx.row(`SELECT owner FROM runs WHERE id = ? AND status IN ('PENDING', 'RUNNING')`, runID).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("run %s is not going on: %w", runID, workflow.ErrNotFound)
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("run %s goes on in instance %q, not in %q: %w", runID, now, owner, workflow.ErrLost)
}

func appendLog(tx transaction, runID string, log []workflow.Entry) error {
	for _, e := range log {
		_, err := tx.exec(`INSERT INTO run_log (run_id, seq, type, node, data, at, request) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			runID, int64(e.Seq), string(e.Type), e.Node, string(e.Data), micros(e.At), e.Request)
		if err != nil {
			return err
		}
	}
	return nil
}

const runColumns = `SELECT id, workflow_id, tenant, title, status, definition, started_by, started_at, ended_at, error, owner FROM runs `

func scanRun(row scanner) (workflow.Run, error) {
	var r workflow.Run
	var def string
	var started, ended int64
	if err := row.Scan(&r.ID, &r.WorkflowID, &r.Tenant, &r.Title, &r.Status, &def, &r.StartedBy, &started, &ended, &r.Error, &r.Owner); err != nil {
		return r, err
	}
	r.StartedAt, r.EndedAt = fromMicros(started), fromMicros(ended)
	return r, json.Unmarshal([]byte(def), &r.Definition)
}

// Run implements [workflow.Store].
func (s Workflows) Run(ctx context.Context, id string) (workflow.Run, error) {
	r, err := scanRun(s.db.row(ctx, runColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, workflow.ErrNotFound
	}
	return r, err
}

// Runs implements [workflow.Store].
func (s Workflows) Runs(ctx context.Context, tenant, workflowID string, limit int) ([]workflow.Run, error) {
	if workflowID == "" {
		return list(ctx, s.db, scanRun, runColumns+`WHERE tenant = ? ORDER BY started_at DESC, id LIMIT ?`, tenant, limit)
	}
	return list(ctx, s.db, scanRun, runColumns+`WHERE tenant = ? AND workflow_id = ? ORDER BY started_at DESC, id LIMIT ?`, tenant, workflowID, limit)
}

// AbandonedRuns implements [workflow.Store].
func (s Workflows) AbandonedRuns(ctx context.Context, limit int) ([]workflow.Run, error) {
	return list(ctx, s.db, scanRun, runColumns+`WHERE status IN ('PENDING', 'RUNNING') AND `+s.db.ownerGone("runs")+` ORDER BY started_at, id LIMIT ?`, limit)
}

// TakeRun implements [workflow.Store].
func (s Workflows) TakeRun(ctx context.Context, id, from, to string) (bool, error) {
	return s.db.take(ctx, "runs", from, to, `id = ? AND status IN ('PENDING', 'RUNNING')`, id)
}

// ReleaseRuns implements [workflow.Store].
func (s Workflows) ReleaseRuns(ctx context.Context, owner string) error {
	_, err := s.db.exec(ctx, `UPDATE runs SET owner = '' WHERE owner = ? AND status IN ('PENDING', 'RUNNING')`, owner)
	return err
}

// RunOfRequest implements [workflow.Store].
func (s Workflows) RunOfRequest(ctx context.Context, tenant, request string) (workflow.Run, error) {
	r, err := scanRun(s.db.row(ctx, runColumns+`WHERE tenant = ? AND id IN (SELECT run_id FROM run_log WHERE request = ? AND request <> '')`, tenant, request))
	if errors.Is(err, sql.ErrNoRows) {
		return r, workflow.ErrNotFound
	}
	return r, err
}

// LogHeads implements [workflow.Store].
func (s Workflows) LogHeads(ctx context.Context, runIDs []string) (map[string]uint64, error) {
	return latest(ctx, s.db, runIDs, `SELECT run_id, MAX(seq) FROM run_log
		WHERE type IN ('NODE_COMPLETED', 'NODE_FAILED', 'NODE_SUSPENDED', 'RUN_ENDED') AND run_id IN (%s) GROUP BY run_id`)
}

// Log implements [workflow.Store].
func (s Workflows) Log(ctx context.Context, runID string, after uint64) ([]workflow.Entry, error) {
	return list(ctx, s.db, func(row scanner) (workflow.Entry, error) {
		var e workflow.Entry
		var seq, at int64
		var data string
		err := row.Scan(&seq, &e.Type, &e.Node, &data, &at)
		e.Seq, e.At = uint64(seq), fromMicros(at)
		if data != "" {
			e.Data = json.RawMessage(data)
		}
		return e, err
	}, `SELECT seq, type, node, data, at FROM run_log WHERE run_id = ? AND seq > ? ORDER BY seq`, runID, int64(after))
}
