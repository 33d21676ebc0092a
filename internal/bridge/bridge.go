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
	"log/slog"
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
	// it gets what is published there after since. read emits what there is
	// beyond after, up to until, and returns the offset it got to.
	EnterRun(runID string, since uint64, read func(after, until uint64) (through uint64, err error)) error
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
	// Epoch is that of the offsets of runs.
	Epoch  string
	Logger *slog.Logger
}

// A Service keeps the bindings of this process. Its methods may be called
// concurrently.
type Service struct {
	opts    Options
	table   *rooms.Table[*binding] // by run
	ctx     context.Context        // of readers
	cancel  context.CancelFunc
	working sync.WaitGroup // readers

	mu       sync.Mutex
	sessions map[Session]map[string]*binding // by widget
	readers  map[string]bool                 // by run; true of those that are to read again
	closed   bool
}

// NewService returns a Service.
func NewService(opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{opts: opts, sessions: make(map[Session]map[string]*binding), readers: make(map[string]bool)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.table = rooms.New(rooms.Options[*binding]{Missed: s.missed})
	return s
}

// A Connect is what a widget asks for.
type Connect struct {
	WidgetID   string
	WorkflowID string
	InstanceID string
	TenantID   string
	Mode       events.WidgetMode
	Input      map[string]any
	Since      *events.Since // what it has got of the run it subscribes to
}

// Connected is what became of a Connect.
type Connected struct {
	RunID   string
	Through uint64 // the offset of the run that the session has got to
	Gap     bool   // it was told that something will never come
}

// Connect binds a widget to a run and tells it so, before anything that the
// run does.
func (s *Service) Connect(ctx context.Context, session Session, c Connect) (Connected, error) {
	if c.Since != nil && c.Mode != events.WidgetSubscribe {
		return Connected{}, events.FieldErrorf("since", "is for mode subscribe alone")
	}
	switch c.Mode {
	case "", events.WidgetExecute:
		if c.WorkflowID == "" {
			return Connected{}, events.FieldErrorf("workflowID", "is required for execute mode")
		}
		return s.execute(ctx, session, c)
	case events.WidgetSubscribe, events.WidgetReplay:
		run, err := s.lookUp(ctx, session.Identity(), c)
		if err != nil {
			return Connected{}, err
		}
		if err := s.admit(ctx, session.Identity(), c, run.Tenant); err != nil {
			return Connected{}, err
		}
		if c.Mode == events.WidgetReplay {
			return s.replay(ctx, session, c.WidgetID, run)
		}
		return s.subscribe(ctx, session, c, run)
	}
	return Connected{}, events.FieldErrorf("mode", "Unknown mode: %s", c.Mode)
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
	if !mayShow(id, tenant, tenant) || c.TenantID != "" && c.TenantID != tenant {
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

// mayShow reports whether a user may show a run in a widget that a tenant owns.
func mayShow(id *auth.Identity, owner, tenant string) bool {
	return owner == tenant && id.Can(auth.UseWidgets, tenant)
}

// Refresh runs a widget's workflow again, with its previous input unless a new
// one is given.
func (s *Service) Refresh(ctx context.Context, session Session, widgetID, tenantID string, input map[string]any) (_ Connected, err error) {
	b := s.find(session, widgetID)
	if b == nil {
		return Connected{}, events.Errorf(events.CodeConflict, "Widget is not connected")
	}
	if input == nil {
		if input, err = s.opts.Runs.Inputs(ctx, b.run); err != nil {
			return Connected{}, err
		}
	}
	return s.execute(ctx, session, Connect{WidgetID: widgetID, WorkflowID: b.run.WorkflowID, TenantID: tenantID, Input: input})
}

// Rebind brings a widget to a run that was started for it before, maybe in
// another session: it is told of the run, and gets what has happened in it and
// what will. One that shows the run is left alone.
func (s *Service) Rebind(ctx context.Context, session Session, widgetID, runID string) error {
	_, err := s.rebind(ctx, session, widgetID, runID)
	return err
}

func (s *Service) rebind(ctx context.Context, session Session, widgetID, runID string) (Connected, error) {
	if b := s.find(session, widgetID); b != nil && b.run.ID == runID {
		return Connected{RunID: runID, Through: b.taken()}, nil
	}
	run, err := s.opts.Runs.Find(ctx, session.Identity(), runID, false)
	if err != nil {
		return Connected{}, err
	}
	c := Connect{WidgetID: widgetID, Mode: events.WidgetExecute, Since: &events.Since{Epoch: s.opts.Epoch}}
	if err := s.admit(ctx, session.Identity(), c, run.Tenant); err != nil {
		return Connected{}, err
	}
	return s.subscribe(ctx, session, c, run)
}
