package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/internal/workflow"
)

// Workflows are the workflows and runs in a database.
type Workflows struct{ db *DB }

var _ workflow.Store = Workflows{}

// Workflows returns the workflows and runs.
func (db *DB) Workflows() Workflows { return Workflows{db} }

// CreateWorkflow implements [workflow.Store].
func (s Workflows) CreateWorkflow(ctx context.Context, w workflow.Workflow) error {
	_, err := s.db.exec(ctx, `INSERT INTO workflows (id, external_id, tenant, title, definition, created_by, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		w.ID, w.ExternalID, w.Tenant, w.Title, w.Plan.Text(), w.CreatedBy, micros(w.CreatedAt), micros(w.UpdatedAt))
	return err
}

// UpdateWorkflow implements [workflow.Store].
func (s Workflows) UpdateWorkflow(ctx context.Context, w workflow.Workflow) error {
	res, err := s.db.exec(ctx, `UPDATE workflows SET title = ?, definition = ?, updated_at = ? WHERE id = ?`, w.Title, w.Plan.Text(), micros(w.UpdatedAt), w.ID)
	return affected(res, err, workflow.ErrNotFound)
}

// DeleteWorkflow implements [workflow.Store].
func (s Workflows) DeleteWorkflow(ctx context.Context, id string) error {
	res, err := s.db.exec(ctx, `DELETE FROM workflows WHERE id = ?`, id)
	return affected(res, err, workflow.ErrNotFound)
}

const workflowColumns = `SELECT id, external_id, tenant, title, definition, created_by, created_at, updated_at FROM workflows `

func (s Workflows) scanWorkflow(row scanner) (workflow.Workflow, error) {
	var w workflow.Workflow
	var text string
	var created, updated int64
	if err := row.Scan(&w.ID, &w.ExternalID, &w.Tenant, &w.Title, &text, &w.CreatedBy, &created, &updated); err != nil {
		return w, err
	}
	w.CreatedAt, w.UpdatedAt = fromMicros(created), fromMicros(updated)
	var err error
	if w.Plan, err = s.db.plans.decoded(text, text); err != nil {
		err = fmt.Errorf("definition of workflow %s: %w", w.ID, err)
	}
	return w, err
}

// Workflow implements [workflow.Store].
func (s Workflows) Workflow(ctx context.Context, id string) (workflow.Workflow, error) {
	w, err := s.scanWorkflow(s.db.row(ctx, workflowColumns+`WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return w, workflow.ErrNotFound
	}
	return w, err
}

// Workflows implements [workflow.Store].
func (s Workflows) Workflows(ctx context.Context, tenant string) ([]workflow.Workflow, error) {
	return list(ctx, s.db, s.scanWorkflow, workflowColumns+`WHERE tenant = ? ORDER BY title, id`, tenant)
}
