package bridge

import (
	"context"
	"slices"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/pace"
)

// subscribe binds a widget to a run that exists: it gets the context as it is,
// and every update after that.
func (s *Service) subscribe(ctx context.Context, session Session, widgetID string, run Run) (err error) {
	ctx = context.WithoutCancel(ctx) // a client may take its time
	b := s.bind(session, widgetID, run)
	defer func() {
		if err != nil {
			s.unbind(session, widgetID)
		}
	}()
	through, err := s.follow(ctx, b)
	if err != nil {
		return err
	}
	out := pace.To(ctx, session)
	return s.enter(b, through, func(after uint64) (uint64, error) {
		h, err := s.opts.Runs.History(ctx, run, after)
		if err != nil {
			return 0, err
		}
		for _, u := range h.Updates {
			if err := out.Emit(u.Payload, u.Size); err != nil {
				return 0, err
			}
		}
		return h.Through, nil
	})
}

// follow brings a widget to where its run is, and lets it have what comes
// after the offset that it returns.
func (s *Service) follow(ctx context.Context, b *binding) (through uint64, err error) {
	out := pace.To(ctx, b.session)
	connected := false
	err = s.table.Follow(b.run.ID, b, 0, func(after uint64) (uint64, error) {
		h, err := s.opts.Runs.History(ctx, b.run, after)
		if err != nil {
			return 0, err
		}
		if connected { // more came meanwhile than is kept
			return h.Through, b.catchUp(out, h)
		}
		connected, through = true, h.Through
		out.Emit(b.connected(events.WidgetSubscribe, h), len(h.Context))
		if h.Status.Terminal() { // nothing more will come
			return h.Through, b.catchUp(out, History{Updates: h.Updates[max(len(h.Updates)-1, 0):]})
		}
		return h.Through, nil
	})
	return through, err
}

// replay shows a run again: its final context, then its updates one by one.
// The widget is not bound.
func (s *Service) replay(ctx context.Context, session Session, widgetID string, run Run) error {
	h, err := s.opts.Runs.History(ctx, run, 0)
	if err != nil {
		return err
	}
	b := &binding{session: session, widgetID: widgetID, run: run}
	connected := b.connected(events.WidgetReplay, h)
	connected.WorkflowStatus = h.Status
	out := pace.To(ctx, session)
	out.Emit(connected, len(h.Context))
	return b.catchUp(out, h)
}

// connected tells a widget about a run that has a history.
func (b *binding) connected(mode events.WidgetMode, h History) events.WidgetWorkflowConnected {
	return events.WidgetWorkflowConnected{
		WidgetID: b.widgetID, InstanceID: b.run.ID, WorkflowID: b.run.WorkflowID, Mode: mode,
		InitialContext: h.Context, WorkflowMeta: &events.WorkflowMeta{Status: h.Status},
	}
}

// catchUp sends what has happened. Every update with all variables would make
// a long run grow with its square: only the latest comes with them, unless the
// end of the run, which always does, follows.
func (b *binding) catchUp(out *pace.Sender, h History) error {
	shown := slices.DeleteFunc(slices.Clone(h.Updates), func(u Update) bool { return b.event(u) == nil })
	for i, u := range shown {
		if i == len(shown)-1 && u.Context == nil {
			u.Context = h.Context
		}
		if err := out.Emit(b.event(u), u.Size+len(u.Context)); err != nil {
			return err
		}
	}
	return nil
}
