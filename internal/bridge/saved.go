package bridge

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/roomcast/roomcast/events"
)

// Bound is a widget that shows a run, so that it can go on doing so in another
// session, here or in another instance.
type Bound struct {
	WidgetID string `json:"widgetID"`
	RunID    string `json:"runID"`
	// Offset is how far the run was when the session took the latest update.
	Offset uint64 `json:"offset"`
}

// Save returns the widgets of a session, by id. It is for a session that has
// ended and is not forgotten yet.
func (s *Service) Save(session Session) []Bound {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Bound
	for _, b := range s.sessions[session] {
		b.mu.Lock()
		if b.started && b.entered {
			all = append(all, Bound{b.widgetID, b.run.ID, b.got})
		}
		b.mu.Unlock()
	}
	slices.SortFunc(all, func(a, b Bound) int { return cmp.Compare(a.WidgetID, b.WidgetID) })
	return all
}

// Restore lets the widgets that Save has returned go on showing their runs, in
// a session that is in their rooms again: each gets what it has missed, and is
// not told that it is connected. One that may not be shown any more, or cannot
// be, is told that it is disconnected.
func (s *Service) Restore(ctx context.Context, session Session, bound []Bound) error {
	ctx = context.WithoutCancel(ctx) // a client may take its time
	var failed error
	for _, w := range bound {
		err := s.restore(ctx, session, w)
		if err == nil {
			continue
		}
		s.leave(session, w)
		if _, meant := events.Public(err); !meant {
			s.opts.Logger.Error("widget could not be restored", "widget", w.WidgetID, "run", w.RunID, "error", err)
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// leave takes a widget that cannot be restored out of its rooms.
func (s *Service) leave(session Session, w Bound) {
	if s.find(session, w.WidgetID) != nil {
		s.Disconnect(session, w.WidgetID)
		return
	}
	session.Leave(events.WidgetRoom(w.WidgetID))
	session.LeaveRun(w.RunID)
	session.Emit(events.WidgetWorkflowDisconnected{WidgetID: w.WidgetID, Success: true})
}

func (s *Service) restore(ctx context.Context, session Session, w Bound) error {
	run, err := s.opts.Runs.Find(ctx, session.Identity(), w.RunID, false)
	if err != nil {
		return err
	}
	owner, err := s.opts.Widgets.Widget(ctx, w.WidgetID)
	if errors.Is(err, ErrNotFound) || err == nil && !mayShow(session.Identity(), owner, run.Tenant) {
		return events.NotFound("widget", w.WidgetID)
	}
	if err != nil {
		return err
	}
	out := newSender(ctx, session)
	b := s.bind(session, w.WidgetID, run)
	b.reach(w.Offset, true)
	s.mu.Lock()
	b.entered = true
	s.mu.Unlock()
	return s.table.Follow(run.ID, b, w.Offset, func(after uint64) (uint64, error) {
		return s.bring(out, b, after)
	})
}
