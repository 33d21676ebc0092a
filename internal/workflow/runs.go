package workflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

func newRun(w Workflow) Run {
	return Run{WorkflowID: w.ID, Tenant: w.Tenant, Title: w.Title, Plan: w.Plan}
}

// Test runs a definition that has not been saved.
func (s *Service) Test(ctx context.Context, id *auth.Identity, tenant string, def graph.Definition, values map[string]any) (Run, error) {
	switch {
	case !id.Can(auth.ReadWorkflows, tenant):
		return Run{}, events.NotFound("tenant", tenant)
	case !id.Can(auth.WriteWorkflows, tenant):
		return Run{}, forbidden(auth.WriteWorkflows)
	}
	if err := s.Check(tenant, def); err != nil {
		return Run{}, err
	}
	d, err := s.draft(ctx, id, Run{Tenant: tenant, Title: "test", Plan: graph.NewPlan(def)}, values)
	if err != nil {
		return Run{}, err
	}
	return s.Launch(ctx, d)
}

// A Draft is a run that nobody knows of yet: it is not stored.
type Draft struct {
	Run
	// Variables are those that it begins with, after its first entry.
	Variables Context
	input     interpreter.Entry
}

// Draft makes a run of a workflow, so that somebody can be ready for what it
// does before it is launched. The caller has asked whether the user may execute
// the workflow.
func (s *Service) Draft(ctx context.Context, id *auth.Identity, w Workflow, values map[string]any) (Draft, error) {
	d, err := s.draft(ctx, id, newRun(w), values)
	if err != nil {
		return Draft{}, err
	}
	m := d.Replay([]interpreter.Entry{d.input})
	d.Variables = s.opts.Feed.context(d.Run, d.input.Seq, m.Snapshot())
	return d, nil
}

// Through is the offset of the run when it has been stored and has done nothing
// yet.
func (d Draft) Through() uint64 { return d.input.Seq }

func (s *Service) draft(ctx context.Context, id *auth.Identity, r Run, values map[string]any) (Draft, error) {
	filled, err := r.Plan.Definition.Fill(values)
	if err != nil {
		return Draft{}, err
	}
	now := s.opts.Now().UTC()
	r.ID, r.Status, r.StartedBy, r.StartedAt, r.Engine = once.ID(ctx, "run"), events.RunPending, id.User, now, s.opts.Engine.Name()
	input, err := firstEntry(filled, now)
	return Draft{Run: r, input: input}, err
}

// Launch stores a run and lets it go. One that exists, because the request for
// it is repeated, goes on.
func (s *Service) Launch(ctx context.Context, d Draft) (Run, error) {
	made, err := s.again(ctx, d)
	switch {
	case err != nil:
		return Run{}, err
	case made != nil:
		return *made, s.opts.Engine.Start(ctx, *made)
	}
	return d.Run, s.opts.Engine.Execute(ctx, d.Run, d.input)
}

// again returns the run that a request has made before, nil if it has not.
func (s *Service) again(ctx context.Context, d Draft) (*Run, error) {
	if !once.Again(ctx) {
		return nil, nil
	}
	made, err := s.opts.Store.Run(ctx, d.ID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading run: %w", err)
	}
	return &made, nil
}

// CheckInput reports whether a workflow could be executed with these values.
func (s *Service) CheckInput(ctx context.Context, id *auth.Identity, workflowID string, values map[string]any) error {
	w, err := s.Get(ctx, id, auth.Execute, workflowID)
	if err != nil {
		return err
	}
	_, err = w.Plan.Definition.Fill(values)
	return err
}

// Execute runs a workflow.
func (s *Service) Execute(ctx context.Context, id *auth.Identity, workflowID string, values map[string]any) (Run, error) {
	w, err := s.Get(ctx, id, auth.Execute, workflowID)
	if err != nil {
		return Run{}, err
	}
	return s.Begin(ctx, id, w, values)
}

// Begin runs a workflow. The caller has asked whether the user may execute it.
func (s *Service) Begin(ctx context.Context, id *auth.Identity, w Workflow, values map[string]any) (Run, error) {
	d, err := s.draft(ctx, id, newRun(w), values)
	if err != nil {
		return Run{}, err
	}
	return s.Launch(ctx, d)
}

// Run returns a run that the user may do something with.
func (s *Service) Run(ctx context.Context, id *auth.Identity, a auth.Action, runID string) (Run, error) {
	r, err := s.opts.Store.Run(ctx, runID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !id.Can(auth.ReadRuns, r.Tenant):
		return Run{}, events.NotFound("run", runID)
	case err != nil:
		return Run{}, fmt.Errorf("reading run: %w", err)
	case !id.Can(a, r.Tenant):
		return Run{}, forbidden(a)
	}
	return r, nil
}

// Runs returns the newest runs of a tenant, of one workflow unless workflowID
// is "".
func (s *Service) Runs(ctx context.Context, id *auth.Identity, tenant, workflowID string, limit int) ([]Run, error) {
	if !id.Can(auth.ReadRuns, tenant) {
		return nil, events.NotFound("tenant", tenant)
	}
	return s.opts.Store.Runs(ctx, tenant, workflowID, limit)
}

// Newest returns the latest run of a workflow that the user may read.
func (s *Service) Newest(ctx context.Context, id *auth.Identity, workflowID string) (Run, error) {
	w, err := s.Get(ctx, id, auth.ReadRuns, workflowID)
	if err != nil {
		return Run{}, err
	}
	runs, err := s.opts.Store.Runs(ctx, w.Tenant, workflowID, 1)
	if err != nil {
		return Run{}, fmt.Errorf("reading runs: %w", err)
	}
	if len(runs) == 0 {
		return Run{}, events.NotFound("run of workflow", workflowID)
	}
	return runs[0], nil
}
