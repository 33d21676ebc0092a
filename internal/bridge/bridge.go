// Package bridge binds dashboard widgets to workflow runs: what happens in a
// run reaches the widgets that show it, and what people do in a widget reaches
// the run.
//
// A binding belongs to a session and a widget, so that two tabs, or two users,
// with the same widget do not get in each other's way. It is forgotten with
// the session. Updates of a run reach its widgets once and in order.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/pace"
	"github.com/roomcast/roomcast/internal/rooms"
)

// A Session is the client that shows a widget.
type Session interface {
	pace.Client
	Identity() *auth.Identity
	Join(room events.Room)
	Leave(room events.Room)
	// EnterRun puts the session into the room of a run on behalf of a widget:
	// it gets what is published there after offset from. snapshot emits what
	// there is beyond after and returns the offset it got to.
	EnterRun(runID string, from uint64, snapshot func(after uint64) (through uint64, err error)) error
	// LeaveRun takes back one EnterRun. The session stays while another widget
	// shows the run, or the client has joined it.
	LeaveRun(runID string)
}

// Options configure a [Service].
type Options struct {
	Runs    Runs
	Widgets Widgets
	// AutoRegister lets the first who connects a widget give it to the tenant
	// of the workflow; else widgets must be registered before.
	AutoRegister bool
}

// A Service keeps the bindings of this process. Its methods may be called
// concurrently.
type Service struct {
	opts  Options
	table *rooms.Table[*binding] // by run

	mu       sync.Mutex
	sessions map[Session]map[string]*binding // by widget
}

// NewService returns a Service.
func NewService(opts Options) *Service {
	return &Service{opts: opts, table: rooms.New(rooms.Options[*binding]{}), sessions: make(map[Session]map[string]*binding)}
}

// A Connect is what a widget asks for.
type Connect struct {
	WidgetID   string
	WorkflowID string
	InstanceID string
	TenantID   string
	Mode       events.WidgetMode
	Input      map[string]any
}

// Connect binds a widget to a run and tells it so, before anything that the
// run does.
func (s *Service) Connect(ctx context.Context, session Session, c Connect) (runID string, err error) {
	switch c.Mode {
	case "", events.WidgetExecute:
		if c.WorkflowID == "" {
			return "", events.FieldErrorf("workflowID", "is required for execute mode")
		}
		return s.execute(ctx, session, c)
	case events.WidgetSubscribe, events.WidgetReplay:
		run, err := s.lookUp(ctx, session.Identity(), c)
		if err != nil {
			return "", err
		}
		if err := s.admit(ctx, session.Identity(), c, run.Tenant); err != nil {
			return "", err
		}
		if c.Mode == events.WidgetReplay {
			return run.ID, s.replay(ctx, session, c.WidgetID, run)
		}
		return run.ID, s.subscribe(ctx, session, c.WidgetID, run)
	}
	return "", events.FieldErrorf("mode", "Unknown mode: %s", c.Mode)
}

// lookUp finds the run that a widget wants to see.
func (s *Service) lookUp(ctx context.Context, id *auth.Identity, c Connect) (Run, error) {
	switch {
	case c.InstanceID != "":
		return s.opts.Runs.Find(ctx, id, c.InstanceID, false)
	case c.WorkflowID != "":
		return s.opts.Runs.Newest(ctx, id, c.WorkflowID)
	}
	return Run{}, events.FieldErrorf("instanceID", "is required for %s mode", c.Mode)
}

// admit checks that the widget is the tenant's and that the user may use it.
func (s *Service) admit(ctx context.Context, id *auth.Identity, c Connect, tenant string) error {
	notFound := events.NotFound("widget", c.WidgetID)
	if !id.Can(auth.UseWidgets, tenant) || c.TenantID != "" && c.TenantID != tenant {
		return notFound
	}
	var owner string
	var err error
	if s.opts.AutoRegister {
		owner, err = s.opts.Widgets.ClaimWidget(ctx, c.WidgetID, tenant, id.User)
	} else {
		owner, err = s.opts.Widgets.Widget(ctx, c.WidgetID)
	}
	switch {
	case errors.Is(err, ErrNotFound), err == nil && owner != tenant:
		return notFound
	case err != nil:
		return fmt.Errorf("looking up widget: %w", err)
	}
	return nil
}

// execute starts a run for a widget. The widget is bound before the first node
// can run, so it misses nothing.
func (s *Service) execute(ctx context.Context, session Session, c Connect) (string, error) {
	tenant, err := s.opts.Runs.Executable(ctx, session.Identity(), c.WorkflowID)
	if err != nil {
		return "", err
	}
	if err := s.admit(ctx, session.Identity(), c, tenant); err != nil {
		return "", err
	}
	run, err := s.opts.Runs.Prepare(ctx, session.Identity(), c.WorkflowID, c.Input)
	if err != nil {
		return "", err
	}
	b := s.bind(session, c.WidgetID, run)
	s.table.Join(run.ID, b)
	nothingYet := func(after uint64) (uint64, error) { return after, nil }
	if err := s.enter(b, run.Through, nothingYet); err != nil {
		s.unbind(session, c.WidgetID)
		return "", err
	}
	session.Emit(events.WidgetWorkflowConnected{
		WidgetID: c.WidgetID, InstanceID: run.ID, WorkflowID: run.WorkflowID,
		Mode: events.WidgetExecute, InitialContext: encode(map[string]any{"input": run.Input}),
	})
	if err := s.opts.Runs.Start(ctx, run); err != nil {
		s.unbind(session, c.WidgetID)
		return "", err
	}
	return run.ID, nil
}

// Refresh runs a widget's workflow again, with its previous input unless a new
// one is given.
func (s *Service) Refresh(ctx context.Context, session Session, widgetID, tenantID string, input map[string]any) (runID string, err error) {
	b := s.find(session, widgetID)
	if b == nil {
		return "", events.Errorf(events.CodeConflict, "Widget is not connected")
	}
	if input == nil {
		input = b.run.Input
	}
	return s.execute(ctx, session, Connect{WidgetID: widgetID, WorkflowID: b.run.WorkflowID, TenantID: tenantID, Input: input})
}
