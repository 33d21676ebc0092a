package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

const runColumns = `SELECT id, workflow_id, tenant, title, status, definition_hash, definition, started_by, started_at, ended_at, error, owner, engine, parent, depth FROM runs `

// A runRow is a run whose plan has yet to be found.
type runRow struct {
	run        workflow.Run
	hash, text string // one of them is empty
}

func scanRun(row scanner) (runRow, error) {
	var r runRow
	var started, ended int64
	err := row.Scan(&r.run.ID, &r.run.WorkflowID, &r.run.Tenant, &r.run.Title, &r.run.Status, &r.hash, &r.text, &r.run.StartedBy, &started, &ended,
		&r.run.Error, &r.run.Owner, &r.run.Engine, &r.run.Parent, &r.run.Depth)
	r.run.StartedAt, r.run.EndedAt = fromMicros(started), fromMicros(ended)
	return r, err
}

// withPlans returns runs with their plans, which costs a query for those that
// are not known, however many they are.
func (s Workflows) withPlans(ctx context.Context, rows []runRow) ([]workflow.Run, error) {
	var hashes []string
	for _, r := range rows {
		if r.hash != "" {
			hashes = append(hashes, r.hash)
		}
	}
	found, err := s.db.definitions(ctx, hashes)
	if err != nil {
		return nil, err
	}
	var runs []workflow.Run
	for _, r := range rows {
		if r.hash == "" {
			r.run.Plan, err = s.db.plans.decoded(r.text, r.text)
		} else if r.run.Plan = found[r.hash]; r.run.Plan == nil {
			err = fmt.Errorf("%s is missing", r.hash)
		}
		if err != nil {
			return nil, fmt.Errorf("definition of run %s: %w", r.run.ID, err)
		}
		runs = append(runs, r.run)
	}
	return runs, nil
}

// withReadable is withPlans for many runs of which some may have no plan: those
// are returned without.
func (s Workflows) withReadable(ctx context.Context, rows []runRow) ([]workflow.Run, error) {
	runs, err := s.withPlans(ctx, rows)
	if err == nil {
		return runs, nil
	}
	for _, r := range rows { // one by one, as one spoils it for all
		one, unreadable := s.withPlans(ctx, []runRow{r})
		switch {
		case unreadable == nil:
			runs = append(runs, one[0])
		case s.db.Ping(ctx) != nil:
			return nil, err // it is the database
		default:
			runs = append(runs, r.run)
		}
	}
	return runs, nil
}

// runs returns those that a condition selects.
func (s Workflows) runs(ctx context.Context, where string, args ...any) ([]workflow.Run, error) {
	rows, err := list(ctx, s.db, scanRun, runColumns+where, args...)
	if err != nil {
		return nil, err
	}
	return s.withPlans(ctx, rows)
}

// oneRun returns the one that a condition selects.
func (s Workflows) oneRun(ctx context.Context, where string, args ...any) (workflow.Run, error) {
	row, err := scanRun(s.db.row(ctx, runColumns+where, args...))
	if errors.Is(err, sql.ErrNoRows) {
		return workflow.Run{}, workflow.ErrNotFound
	}
	if err != nil {
		return workflow.Run{}, err
	}
	runs, err := s.withPlans(ctx, []runRow{row})
	if err != nil {
		return workflow.Run{}, err
	}
	return runs[0], nil
}

// Run implements [workflow.Store].
func (s Workflows) Run(ctx context.Context, id string) (workflow.Run, error) {
	return s.oneRun(ctx, `WHERE id = ?`, id)
}

// Runs implements [workflow.Store].
func (s Workflows) Runs(ctx context.Context, tenant, workflowID string, limit int) ([]workflow.Run, error) {
	if workflowID == "" {
		return s.runs(ctx, `WHERE tenant = ? ORDER BY started_at DESC, id LIMIT ?`, tenant, limit)
	}
	return s.runs(ctx, `WHERE tenant = ? AND workflow_id = ? ORDER BY started_at DESC, id LIMIT ?`, tenant, workflowID, limit)
}

// ChildRuns implements [workflow.Store].
func (s Workflows) ChildRuns(ctx context.Context, parent string) ([]workflow.Run, error) {
	return s.runs(ctx, `WHERE parent = ? AND parent <> '' ORDER BY started_at, id`, parent)
}

// AbandonedRuns implements [workflow.Store].
func (s Workflows) AbandonedRuns(ctx context.Context, limit int) ([]workflow.Run, error) {
	rows, err := list(ctx, s.db, scanRun, runColumns+`WHERE engine = ? AND status IN ('PENDING', 'RUNNING') AND `+s.db.ownerGone("runs")+` ORDER BY started_at, id LIMIT ?`,
		string(workflow.Embedded), limit)
	if err != nil {
		return nil, err
	}
	return s.withReadable(ctx, rows)
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
	return s.oneRun(ctx, `WHERE tenant = ? AND id IN (SELECT run_id FROM run_log WHERE request = ? AND request <> '')`, tenant, request)
}

// LogHeads implements [workflow.Store].
func (s Workflows) LogHeads(ctx context.Context, runIDs []string) (map[string]uint64, error) {
	return latest(ctx, s.db, runIDs, `SELECT MAX(seq) FROM run_log
		WHERE type IN ('NODE_COMPLETED', 'NODE_FAILED', 'NODE_SUSPENDED', 'RUN_ENDED') AND run_id = v.id`)
}

// Log implements [workflow.Store].
func (s Workflows) Log(ctx context.Context, runID string, after uint64) ([]interpreter.Entry, error) {
	return list(ctx, s.db, func(row scanner) (interpreter.Entry, error) {
		var e interpreter.Entry
		var seq, at int64
		var data string
		err := row.Scan(&seq, &e.Type, &e.Node, &e.Iteration, &data, &at)
		e.Seq, e.At = uint64(seq), fromMicros(at)
		if data != "" {
			e.Data = json.RawMessage(data)
		}
		return e, err
	}, `SELECT seq, type, node, iteration, data, at FROM run_log WHERE run_id = ? AND seq > ? ORDER BY seq`, runID, int64(after))
}
