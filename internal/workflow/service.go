package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// ServiceOptions configure a [Service].
type ServiceOptions struct {
	Store Store
	// Engine carries on the runs that begin here. Others do so for runs that
	// began otherwise, which are delivered to the one of their name.
	Engine Engine
	Others []Engine
	Feed   *Feed
	Types  nodes.Types
	// MaxDuration bounds how long a run may take; 0 is no bound.
	MaxDuration time.Duration
	// Saved is told of a workflow that was stored, new or changed; nil is nobody.
	// It must not block.
	Saved func(by *auth.Identity, w Workflow)
	// Now is the clock, for tests.
	Now func() time.Time
}

// A Service keeps workflows, and lets an [Engine] run them. Its methods may be
// called concurrently.
type Service struct{ opts ServiceOptions }

// NewService returns a Service.
func NewService(opts ServiceOptions) *Service {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Saved == nil {
		opts.Saved = func(*auth.Identity, Workflow) {}
	}
	return &Service{opts}
}

// engine returns what carries a run on.
func (s *Service) engine(run Run) (Engine, error) {
	if run.Engine == s.opts.Engine.Name() {
		return s.opts.Engine, nil
	}
	for _, e := range s.opts.Others {
		if run.Engine == e.Name() {
			return e, nil
		}
	}
	return nil, events.Errorf(events.CodeConflict, "run %s is carried on by the engine %q, which this server does not have", run.ID, run.Engine)
}

// List returns the workflows of a tenant.
func (s *Service) List(ctx context.Context, id *auth.Identity, tenant string) ([]Workflow, error) {
	if !id.Can(auth.ReadWorkflows, tenant) {
		return nil, events.NotFound("tenant", tenant)
	}
	return s.opts.Store.Workflows(ctx, tenant)
}

// Get returns a workflow that the user may do something with.
func (s *Service) Get(ctx context.Context, id *auth.Identity, a auth.Action, workflowID string) (Workflow, error) {
	w, err := s.opts.Store.Workflow(ctx, workflowID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !id.Can(auth.ReadWorkflows, w.Tenant):
		return Workflow{}, events.NotFound("workflow", workflowID)
	case err != nil:
		return Workflow{}, fmt.Errorf("reading workflow: %w", err)
	case !id.Can(a, w.Tenant):
		return Workflow{}, forbidden(a)
	}
	return w, nil
}

func forbidden(a auth.Action) error {
	return events.Errorf(events.CodePermissionDenied, "your role does not include %s", a)
}

// Create stores a new workflow.
func (s *Service) Create(ctx context.Context, id *auth.Identity, tenant, title string, def graph.Definition) (Workflow, error) {
	if !id.Can(auth.ReadWorkflows, tenant) {
		return Workflow{}, events.NotFound("tenant", tenant)
	}
	if !id.Can(auth.WriteWorkflows, tenant) {
		return Workflow{}, forbidden(auth.WriteWorkflows)
	}
	if title == "" {
		return Workflow{}, events.FieldErrorf("title", "is missing")
	}
	if err := s.Check(tenant, def); err != nil {
		return Workflow{}, err
	}
	now := s.opts.Now().UTC()
	if once.Again(ctx) {
		if made, err := s.opts.Store.Workflow(ctx, once.ID(ctx, "workflow")); !errors.Is(err, ErrNotFound) {
			return made, err
		}
	}
	w := Workflow{ID: once.ID(ctx, "workflow"), Tenant: tenant, Title: title, Plan: graph.NewPlan(def), CreatedBy: id.User, CreatedAt: now, UpdatedAt: now}
	return s.saved(id, w, s.opts.Store.CreateWorkflow(ctx, w))
}

// saved tells of a workflow that was stored, unless that failed.
func (s *Service) saved(by *auth.Identity, w Workflow, err error) (Workflow, error) {
	if err == nil {
		s.opts.Saved(by, w)
	}
	return w, err
}

// Check returns what is wrong with a definition of a tenant as [graph.Problems], nil if
// nothing is.
func (s *Service) Check(tenant string, def graph.Definition) error {
	if err := def.Check(s.opts.Types, tenant); err != nil {
		return err
	}
	if max := s.opts.MaxDuration.Seconds(); max > 0 && def.Options.TimeoutSeconds > max {
		return events.FieldErrorf("workflowOptions.timeoutSeconds", "is more than workflow.maxDuration, which is %v", s.opts.MaxDuration)
	}
	return nil
}

// Change replaces the title, the definition or both; zero values are kept.
func (s *Service) Change(ctx context.Context, id *auth.Identity, workflowID, title string, def *graph.Definition) (Workflow, error) {
	w, err := s.Get(ctx, id, auth.WriteWorkflows, workflowID)
	if err != nil {
		return Workflow{}, err
	}
	if title != "" {
		w.Title = title
	}
	if def != nil {
		if err := s.Check(w.Tenant, *def); err != nil {
			return Workflow{}, err
		}
		w.Plan = graph.NewPlan(*def)
	}
	w.UpdatedAt = s.opts.Now().UTC()
	return s.saved(id, w, s.opts.Store.UpdateWorkflow(ctx, w))
}

// Delete removes a workflow. Its runs stay.
func (s *Service) Delete(ctx context.Context, id *auth.Identity, workflowID string) error {
	if _, err := s.Get(ctx, id, auth.WriteWorkflows, workflowID); err != nil {
		return err
	}
	return s.opts.Store.DeleteWorkflow(ctx, workflowID)
}
