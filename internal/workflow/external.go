package workflow

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// An Announcement is a run that somebody carries on elsewhere.
type Announcement struct {
	// ID is the UUID of the run; "" has one made.
	ID string
	// WorkflowID is a UUID, or "". If it is that of a workflow of the tenant
	// here, what is left out below is taken from it.
	WorkflowID string
	Title      string
	// Definition is for display; the run does not follow it.
	Definition *graph.Definition
	Input      map[string]any
}

// Announce stores a run that is carried on elsewhere. One that was announced
// before, under the same ID and with the same content, is returned as it is.
func (s *Service) Announce(ctx context.Context, id *auth.Identity, tenant string, a Announcement) (Run, error) {
	if err := mayReport(id, tenant); err != nil {
		return Run{}, err
	}
	if err := a.check(); err != nil {
		return Run{}, err
	}
	r, err := s.announced(ctx, tenant, a)
	if err != nil {
		return Run{}, err
	}
	now := s.opts.Now().UTC()
	r.StartedBy, r.StartedAt = id.User, now
	if a.Input == nil {
		a.Input = map[string]any{}
	}
	input, err := firstEntry(a.Input, now)
	if err != nil {
		return Run{}, err
	}
	e, err := s.engine(r)
	if err != nil {
		return Run{}, err
	}
	if err := e.Execute(ctx, r, input); err != nil {
		return Run{}, err
	}
	if a.ID == "" && !once.Again(ctx) {
		return r, nil
	}
	return s.sameRun(ctx, r, a, input)
}

// mayReport reports whether the user may carry runs of a tenant on.
func mayReport(id *auth.Identity, tenant string) error {
	switch {
	case id.Role(tenant) == "":
		return events.NotFound("tenant", tenant)
	case !id.Can(auth.ReportRuns, tenant):
		return forbidden(auth.ReportRuns)
	}
	return nil
}

// maxTitle bounds the title of a run, in bytes.
const maxTitle = 512

// check reports what is wrong with an announcement.
func (a Announcement) check() error {
	for _, f := range []struct{ name, id string }{{"instanceID", a.ID}, {"workflowID", a.WorkflowID}} {
		if parsed, err := uuid.Parse(f.id); f.id != "" && (err != nil || parsed.String() != f.id) {
			return events.FieldErrorf(f.name, "is not a UUID in small letters")
		}
	}
	if len(a.Title) > maxTitle {
		return events.FieldErrorf("title", "is longer than %d bytes", maxTitle)
	}
	if a.Definition == nil {
		return nil
	}
	return a.Definition.CheckDrawing()
}

// announced returns the run that is announced.
func (s *Service) announced(ctx context.Context, tenant string, a Announcement) (Run, error) {
	r := Run{ID: a.ID, WorkflowID: a.WorkflowID, Tenant: tenant, Title: a.Title, Status: events.RunPending, Engine: External}
	if r.ID == "" {
		r.ID = once.ID(ctx, "run")
	}
	if a.Definition != nil {
		r.Plan = graph.NewPlan(*a.Definition)
	}
	if a.WorkflowID != "" && (r.Title == "" || r.Plan == nil) {
		w, err := s.opts.Store.Workflow(ctx, a.WorkflowID)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return r, fmt.Errorf("reading workflow: %w", err)
		case err == nil && w.Tenant == tenant:
			if r.Title == "" {
				r.Title = w.Title
			}
			if r.Plan == nil {
				r.Plan = w.Plan
			}
		}
	}
	if r.Title == "" {
		return r, events.FieldErrorf("title", "is missing")
	}
	if r.Plan == nil {
		r.Plan = graph.NewPlan(graph.Definition{Nodes: []graph.Node{}, Edges: []graph.Edge{}})
	}
	return r, nil
}

// sameRun returns the run that is stored, if it is the one that is announced.
func (s *Service) sameRun(ctx context.Context, r Run, a Announcement, input interpreter.Entry) (Run, error) {
	made, err := s.opts.Store.Run(ctx, r.ID)
	if err != nil {
		return Run{}, fmt.Errorf("reading run: %w", err)
	}
	other := &events.Error{Code: events.CodeConflict, Field: "instanceID", Message: "instanceID: is that of another run: choose a new one"}
	if made.Tenant != r.Tenant || made.Engine != External || made.WorkflowID != r.WorkflowID ||
		a.Title != "" && made.Title != a.Title || a.Definition != nil && made.Plan.Hash() != r.Plan.Hash() {
		return Run{}, other
	}
	log, err := s.opts.Store.Log(ctx, r.ID, 0)
	if err != nil {
		return Run{}, fmt.Errorf("reading log: %w", err)
	}
	if !reflect.DeepEqual(interpreter.Value(log[0].Data), interpreter.Value(input.Data)) {
		return Run{}, other
	}
	return made, nil
}

// Reported returns a run of a tenant that the user carries on elsewhere.
func (s *Service) Reported(ctx context.Context, id *auth.Identity, tenant, runID string) (Run, error) {
	if err := mayReport(id, tenant); err != nil {
		return Run{}, err
	}
	r, err := s.opts.Store.Run(ctx, runID)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return Run{}, fmt.Errorf("reading run: %w", err)
	case err != nil || r.Tenant != tenant || r.Engine != External && !id.Can(auth.ReadRuns, tenant):
		return Run{}, events.NotFound("run", runID)
	case r.Engine != External:
		return Run{}, events.Errorf(events.CodeInvalidRequest, "run %s is carried on by this server: nothing is reported of it", runID)
	}
	return r, nil
}

// Entries returns the entries of a run after a number. If there are none yet it
// waits for some, up to a time, unless the run is over. The caller has asked
// whether the user may.
func (s *Service) Entries(ctx context.Context, run Run, after uint64, wait time.Duration) ([]interpreter.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for first := true; ; first = false {
		next, leave := s.opts.Feed.next(run.ID) // before looking, so that nothing is missed
		log, err := s.opts.Store.Log(context.WithoutCancel(ctx), run.ID, after)
		if err != nil {
			leave()
			return nil, fmt.Errorf("reading log: %w", err)
		}
		if len(log) > 0 || first && run.Status.Terminal() {
			leave()
			return log, nil
		}
		if !pause(ctx, next, leave) {
			return nil, nil
		}
	}
}
