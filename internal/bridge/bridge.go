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
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/rooms"
)

// A Session is the client that shows a widget.
type Session interface {
	Identity() *auth.Identity
	Emit(p events.Payload) error
	Join(room events.Room)
	Leave(room events.Room)
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

// binding is one widget of one session.
type binding struct {
	session  Session
	widgetID string
	run      Run
	mode     events.WidgetMode
}

// NewService returns a Service.
func NewService(opts Options) *Service {
	return &Service{opts: opts, table: rooms.New[*binding](), sessions: make(map[Session]map[string]*binding)}
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
	b := s.bind(session, c.WidgetID, run, events.WidgetExecute)
	s.table.Join(run.ID, b)
	session.Emit(events.WidgetWorkflowConnected{
		WidgetID: c.WidgetID, InstanceID: run.ID, WorkflowID: run.WorkflowID,
		Mode: events.WidgetExecute, InitialContext: encode(map[string]any{"input": run.Input}),
	})
	return run.ID, s.opts.Runs.Start(ctx, run)
}

// subscribe binds a widget to a run that exists: it gets the context as it is,
// and every update after that.
func (s *Service) subscribe(ctx context.Context, session Session, widgetID string, run Run) error {
	b := s.bind(session, widgetID, run, events.WidgetSubscribe)
	connected := false
	return s.table.Follow(run.ID, b, 0, func(after uint64) (uint64, error) {
		h, err := s.opts.Runs.History(ctx, run, after)
		if err != nil {
			return 0, err
		}
		if !connected {
			connected = true
			session.Emit(events.WidgetWorkflowConnected{
				WidgetID: widgetID, InstanceID: run.ID, WorkflowID: run.WorkflowID, Mode: events.WidgetSubscribe,
				InitialContext: h.Context, WorkflowMeta: &events.WorkflowMeta{Status: h.Status},
			})
			if h.Status.Terminal() { // nothing more will come
				b.deliver(h.Updates[len(h.Updates)-1])
			}
			return h.Through, nil
		}
		for _, u := range h.Updates {
			b.deliver(u)
		}
		return h.Through, nil
	})
}

// replay shows a run again: its final context, then its updates one by one.
// The widget is not bound.
func (s *Service) replay(ctx context.Context, session Session, widgetID string, run Run) error {
	h, err := s.opts.Runs.History(ctx, run, 0)
	if err != nil {
		return err
	}
	session.Emit(events.WidgetWorkflowConnected{
		WidgetID: widgetID, InstanceID: run.ID, WorkflowID: run.WorkflowID, Mode: events.WidgetReplay,
		InitialContext: h.Context, WorkflowMeta: &events.WorkflowMeta{Status: h.Status}, WorkflowStatus: h.Status,
	})
	b := &binding{session: session, widgetID: widgetID, run: run, mode: events.WidgetReplay}
	for _, u := range h.Updates {
		b.deliver(u)
	}
	return nil
}

// bind makes a binding the session's for this widget, in place of the one
// before.
func (s *Service) bind(session Session, widgetID string, run Run, mode events.WidgetMode) *binding {
	b := &binding{session: session, widgetID: widgetID, run: run, mode: mode}
	s.unbind(session, widgetID)
	s.mu.Lock()
	if s.sessions[session] == nil {
		s.sessions[session] = make(map[string]*binding)
	}
	s.sessions[session][widgetID] = b
	s.mu.Unlock()
	session.Join(events.WidgetRoom(widgetID))
	session.Join(events.RunRoom(run.ID))
	return b
}

// unbind forgets a binding and leaves its rooms, unless another widget of the
// session shows the same run.
func (s *Service) unbind(session Session, widgetID string) {
	s.mu.Lock()
	b := s.sessions[session][widgetID]
	delete(s.sessions[session], widgetID)
	if len(s.sessions[session]) == 0 {
		delete(s.sessions, session)
	}
	shared := false
	for _, other := range s.sessions[session] {
		shared = shared || b != nil && other.run.ID == b.run.ID
	}
	s.mu.Unlock()
	if b == nil {
		return
	}
	s.table.LeaveAll(b)
	session.Leave(events.WidgetRoom(widgetID))
	if !shared {
		session.Leave(events.RunRoom(b.run.ID))
	}
}

func (s *Service) find(session Session, widgetID string) *binding {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[session][widgetID]
}

// Disconnect unbinds a widget, if it is bound. The run goes on.
func (s *Service) Disconnect(session Session, widgetID string) {
	s.unbind(session, widgetID)
	session.Emit(events.WidgetWorkflowDisconnected{WidgetID: widgetID, Success: true})
}

// Forget unbinds all widgets of a session that has ended.
func (s *Service) Forget(session Session) {
	s.mu.Lock()
	mine := s.sessions[session]
	delete(s.sessions, session)
	s.mu.Unlock()
	for _, b := range mine {
		s.table.LeaveAll(b)
	}
}

// An Input is what a person did in a widget.
type Input struct {
	WidgetID   string
	InstanceID string // "" is the run that the widget is bound to
	Type       string
	Data       any
}

// Input gives a run what a person did in a widget, and tells the widget so.
func (s *Service) Input(ctx context.Context, session Session, in Input) (runID string, err error) {
	runID = in.InstanceID
	if runID == "" {
		b := s.find(session, in.WidgetID)
		if b == nil {
			return "", events.Errorf(events.CodeConflict, "Widget is not connected to any workflow instance")
		}
		runID = b.run.ID
	}
	run, err := s.opts.Runs.Find(ctx, session.Identity(), runID, true)
	if err != nil {
		return "", err
	}
	value := map[string]any{
		"widgetID": in.WidgetID, "inputType": in.Type, "data": in.Data, "timestamp": time.Now().UnixMilli(),
	}
	form := in.Type == "form_submit" || in.Type == "form_submission"
	if err := s.opts.Runs.Input(ctx, run, value, form); err != nil {
		return "", err
	}
	session.Emit(events.WidgetInputReceived{WidgetID: in.WidgetID, InstanceID: runID, InputType: in.Type, Success: true})
	return runID, nil
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
