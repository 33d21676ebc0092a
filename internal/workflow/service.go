package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A Publisher sends an event to a room. It knows the epoch of positions, which
// come without.
type Publisher interface {
	Publish(room events.Room, pos cluster.Position, p events.Payload) error
}

// ServiceOptions configure a [Service].
type ServiceOptions struct {
	Store     Store
	Publisher Publisher
	Logger    *slog.Logger
	// Parallel bounds how many nodes run at once. Default 64.
	Parallel int
	Nodes    nodes.Options
	// Owner returns the id under which this instance owns runs now, "" if it
	// must not own any. nil is for a store that no other instance uses.
	Owner func() string
	// Peers reach other instances, for runs that go on there; nil if there are
	// none.
	Peers Peers
	// Resumed is called with each run that has been taken up here and goes on,
	// and the offset that it has reached: whoever published that may not have
	// had the time to. It must not block.
	Resumed func(run Run, through uint64)
	// Now is the clock, for tests.
	Now func() time.Time
}

// A Service keeps and executes workflows.
type Service struct {
	opts      ServiceOptions
	types     map[string]nodes.Type
	slots     chan struct{} // one for each node that runs
	observers []func(Update)

	working sync.WaitGroup // goroutines of nodes

	mu      sync.Mutex
	live    map[string]*execution
	broken  map[string]bool // runs that were live until the store failed
	closing bool
}

// NewService returns a Service. Nothing runs before [Service.Resume] or
// [Service.Start].
func NewService(opts ServiceOptions) *Service {
	if opts.Parallel <= 0 {
		opts.Parallel = 64
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Owner == nil {
		alone := uuid.NewString()
		opts.Owner = func() string { return alone }
	}
	if opts.Resumed == nil {
		opts.Resumed = func(Run, uint64) {}
	}
	return &Service{
		opts:   opts,
		types:  nodes.All(opts.Nodes),
		slots:  make(chan struct{}, opts.Parallel),
		live:   make(map[string]*execution),
		broken: make(map[string]bool),
	}
}

// Observe calls fn with every update of every run, after it was published.
// The updates of one run come one after the other. It must be called before
// anything runs; fn must not block.
func (s *Service) Observe(fn func(Update)) { s.observers = append(s.observers, fn) }

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
func (s *Service) Create(ctx context.Context, id *auth.Identity, tenant, title string, def Definition) (Workflow, error) {
	if !id.Can(auth.ReadWorkflows, tenant) {
		return Workflow{}, events.NotFound("tenant", tenant)
	}
	if !id.Can(auth.WriteWorkflows, tenant) {
		return Workflow{}, forbidden(auth.WriteWorkflows)
	}
	if title == "" {
		return Workflow{}, events.FieldErrorf("title", "is missing")
	}
	if err := def.check(s.types); err != nil {
		return Workflow{}, err
	}
	now := s.opts.Now().UTC()
	if once.Again(ctx) {
		if made, err := s.opts.Store.Workflow(ctx, once.ID(ctx, "workflow")); !errors.Is(err, ErrNotFound) {
			return made, err
		}
	}
	w := Workflow{ID: once.ID(ctx, "workflow"), Tenant: tenant, Title: title, Definition: def, CreatedBy: id.User, CreatedAt: now, UpdatedAt: now}
	return w, s.opts.Store.CreateWorkflow(ctx, w)
}

// Check reports the first thing that is wrong with a definition.
func (s *Service) Check(def Definition) error { return def.check(s.types) }

// Change replaces the title, the definition or both; zero values are kept.
func (s *Service) Change(ctx context.Context, id *auth.Identity, workflowID, title string, def *Definition) (Workflow, error) {
	w, err := s.Get(ctx, id, auth.WriteWorkflows, workflowID)
	if err != nil {
		return Workflow{}, err
	}
	if title != "" {
		w.Title = title
	}
	if def != nil {
		if err := def.check(s.types); err != nil {
			return Workflow{}, err
		}
		w.Definition = *def
	}
	w.UpdatedAt = s.opts.Now().UTC()
	return w, s.opts.Store.UpdateWorkflow(ctx, w)
}

// Delete removes a workflow. Its runs stay.
func (s *Service) Delete(ctx context.Context, id *auth.Identity, workflowID string) error {
	if _, err := s.Get(ctx, id, auth.WriteWorkflows, workflowID); err != nil {
		return err
	}
	return s.opts.Store.DeleteWorkflow(ctx, workflowID)
}

// Prepare stores a run of a workflow without starting it, so that somebody
// can follow it from its first node.
func (s *Service) Prepare(ctx context.Context, id *auth.Identity, workflowID string, values map[string]any) (Run, error) {
	w, err := s.Get(ctx, id, auth.Execute, workflowID)
	if err != nil {
		return Run{}, err
	}
	return s.create(ctx, id, Run{WorkflowID: w.ID, Tenant: w.Tenant, Title: w.Title, Definition: w.Definition}, values)
}

// PrepareTest is Prepare for a definition that has not been saved.
func (s *Service) PrepareTest(ctx context.Context, id *auth.Identity, tenant string, def Definition, values map[string]any) (Run, error) {
	switch {
	case !id.Can(auth.ReadWorkflows, tenant):
		return Run{}, events.NotFound("tenant", tenant)
	case !id.Can(auth.WriteWorkflows, tenant):
		return Run{}, forbidden(auth.WriteWorkflows)
	}
	if err := def.check(s.types); err != nil {
		return Run{}, err
	}
	return s.create(ctx, id, Run{Tenant: tenant, Title: "test", Definition: def}, values)
}

func (s *Service) create(ctx context.Context, id *auth.Identity, r Run, values map[string]any) (Run, error) {
	filled, err := r.Definition.fill(values)
	if err != nil {
		return Run{}, err
	}
	if r.Owner = s.opts.Owner(); r.Owner == "" {
		return Run{}, errApart
	}
	now := s.opts.Now().UTC()
	r.ID, r.Status, r.StartedBy, r.StartedAt = once.ID(ctx, "run"), events.RunPending, id.User, now
	if once.Again(ctx) {
		if made, err := s.opts.Store.Run(ctx, r.ID); !errors.Is(err, ErrNotFound) {
			return made, err
		}
	}
	input, err := newEntry(InputSet, "", filled)
	if err != nil {
		return Run{}, err
	}
	input.Seq, input.At = 1, now
	return r, s.opts.Store.CreateRun(ctx, r, []Entry{input})
}

// CheckInput reports whether a workflow could be executed with these values.
func (s *Service) CheckInput(ctx context.Context, id *auth.Identity, workflowID string, values map[string]any) error {
	w, err := s.Get(ctx, id, auth.Execute, workflowID)
	if err != nil {
		return err
	}
	_, err = w.Definition.fill(values)
	return err
}

// Execute prepares a run and starts it.
func (s *Service) Execute(ctx context.Context, id *auth.Identity, workflowID string, values map[string]any) (Run, error) {
	r, err := s.Prepare(ctx, id, workflowID, values)
	if err != nil {
		return Run{}, err
	}
	return r, s.Start(ctx, r)
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
