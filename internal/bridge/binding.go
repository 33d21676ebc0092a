package bridge

import (
	"sync"

	"github.com/roomcast/roomcast/events"
)

// binding is one widget of one session.
type binding struct {
	session  Session
	widgetID string
	run      Run
	entered  bool // the room of the run; guarded by the service's mutex

	mu      sync.Mutex
	started bool   // it is known from where on it shows the run
	touched bool   // the run, before it started
	seen    uint64 // what happened up to here was sent, or is not for it
	got     uint64 // and up to here the session has taken it
}

// bind makes a binding the session's for this widget, in place of the one
// before.
func (s *Service) bind(session Session, widgetID string, run Run) *binding {
	b := &binding{session: session, widgetID: widgetID, run: run}
	s.unbind(session, widgetID)
	s.mu.Lock()
	if s.sessions[session] == nil {
		s.sessions[session] = make(map[string]*binding)
	}
	s.sessions[session][widgetID] = b
	s.mu.Unlock()
	session.Join(events.WidgetRoom(widgetID))
	return b
}

// enter lets the session of a binding hear what the room of the run hears.
func (s *Service) enter(b *binding, since uint64, read func(after, until uint64) (uint64, error)) error {
	if err := b.session.EnterRun(b.run.ID, since, read); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.entered = true
	return nil
}

// unbind forgets a binding and leaves its rooms.
func (s *Service) unbind(session Session, widgetID string) {
	s.mu.Lock()
	b := s.sessions[session][widgetID]
	delete(s.sessions[session], widgetID)
	if len(s.sessions[session]) == 0 {
		delete(s.sessions, session)
	}
	entered := b != nil && b.entered
	s.mu.Unlock()
	if b == nil {
		return
	}
	s.table.LeaveAll(b)
	session.Leave(events.WidgetRoom(widgetID))
	if entered {
		session.LeaveRun(b.run.ID)
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
