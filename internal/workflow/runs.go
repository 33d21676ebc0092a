package workflow

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Prepare stores a run of a workflow without starting it, so that somebody
// can follow it from its first node.
func (s *Service) Prepare(ctx context.Context, id *auth.Identity, workflowID string, values map[string]any) (Run, error) {
	w, err := s.Get(ctx, id, auth.Execute, workflowID)
	if err != nil {
		return Run{}, err
	}
	return s.create(ctx, id, newRun(w), values, false)
}

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
	if err := s.check(def); err != nil {
		return Run{}, err
	}
	return s.create(ctx, id, Run{Tenant: tenant, Title: "test", Plan: graph.NewPlan(def)}, values, true)
}

// create stores a run, and lets it go at once if it is to start.
func (s *Service) create(ctx context.Context, id *auth.Identity, r Run, values map[string]any, start bool) (Run, error) {
	filled, err := r.Plan.Definition.Fill(values)
	if err != nil {
		return Run{}, err
	}
	now := s.opts.Now().UTC()
	r.ID, r.Status, r.StartedBy, r.StartedAt, r.Engine = once.ID(ctx, "run"), events.RunPending, id.User, now, s.opts.Engine.Name()
	if once.Again(ctx) {
		if made, err := s.opts.Store.Run(ctx, r.ID); err == nil && start {
			return made, s.opts.Engine.Start(ctx, made)
		} else if !errors.Is(err, ErrNotFound) {
			return made, err
		}
	}
	input, err := firstEntry(filled, now)
	if err != nil {
		return Run{}, err
	}
	if start {
		return r, s.opts.Engine.Execute(ctx, r, input)
	}
	return r, s.opts.Engine.Prepare(ctx, r, input)
}

// Start lets a prepared run go. Starting one that has begun does nothing.
func (s *Service) Start(ctx context.Context, r Run) error { return s.opts.Engine.Start(ctx, r) }

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

// Begin is Execute for a workflow that [Service.Get] has just returned to who
// may execute it.
func (s *Service) Begin(ctx context.Context, id *auth.Identity, w Workflow, values map[string]any) (Run, error) {
	return s.create(ctx, id, newRun(w), values, true)
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
