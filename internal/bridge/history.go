package bridge

import (
	"context"
	"slices"

	"github.com/roomcast/roomcast/events"
)

// subscribe binds a widget to a run that exists: it gets the context as it is,
// and every update after that, or after what it has got already.
func (s *Service) subscribe(ctx context.Context, session Session, c Connect, run Run) (done Connected, err error) {
	ctx = context.WithoutCancel(ctx) // a client may take its time
	out := newSender(ctx, session)
	since, gap, err := s.resume(ctx, run, c.Since)
	if err != nil {
		return Connected{}, err
	}
	b := s.bind(session, c.WidgetID, run)
	defer func() {
		if err != nil {
			s.unbind(session, c.WidgetID)
		}
	}()
	through, err := s.follow(ctx, b, c.Mode, out, since, gap)
	if err != nil {
		return Connected{}, err
	}
	if since == nil {
		since = &through
	}
	err = s.enter(b, *since, func(after, until uint64) (uint64, error) {
		return s.past(out, run, after, until)
	})
	return Connected{RunID: run.ID, Through: through, Gap: gap != nil}, err
}

// past sends what the room of a run got after an offset, up to another, and
// returns the offset that it got to.
func (s *Service) past(out *sender, run Run, after, until uint64) (through uint64, err error) {
	h, err := s.opts.Runs.History(out.ctx, run, after)
	if err != nil {
		return 0, err
	}
	for _, u := range h.Updates {
		if u.Offset > until {
			break
		}
		if err := out.Emit(u.Payload, u.Size); err != nil {
			return 0, err
		}
	}
	return h.Through, nil
}

// bring sends a widget what has happened in its run after an offset, and
// returns the offset that it got to.
func (s *Service) bring(out *sender, b *binding, after uint64) (through uint64, err error) {
	h, err := s.opts.Runs.History(out.ctx, b.run, after)
	if err != nil {
		return 0, err
	}
	if err := b.catchUp(out, h); err != nil {
		return 0, err
	}
	s.started(b, h.Through, out.accepted())
	return h.Through, nil
}

// resume returns the offset after which a widget gets the updates of a run,
// and what it will never get; nil if it has got none of them.
func (s *Service) resume(ctx context.Context, run Run, since *events.Since) (after *uint64, gap *events.Gap, err error) {
	if since == nil {
		return nil, nil, nil
	}
	h, err := s.opts.Runs.History(ctx, run, since.Offset)
	if err != nil {
		return nil, nil, err
	}
	from, gap := since.Resume(events.RunRoom(run.ID), s.opts.Epoch, 0, h.Through)
	return &from, gap, nil
}

// follow brings a widget to where its run is, and lets it have what comes
// after the offset that it returns. A widget that has got something already
// gets what it has missed.
func (s *Service) follow(ctx context.Context, b *binding, mode events.WidgetMode, out *sender, since *uint64, gap *events.Gap) (through uint64, err error) {
	connected := false
	var from uint64
	if since != nil {
		from = *since
	}
	err = s.table.Follow(b.run.ID, b, from, func(after uint64) (uint64, error) {
		h, err := s.opts.Runs.History(ctx, b.run, after)
		if err != nil {
			return 0, err
		}
		defer func() { s.started(b, h.Through, out.accepted()) }()
		if connected { // more came meanwhile than is kept
			return h.Through, b.catchUp(out, h)
		}
		connected, through = true, h.Through
		told := b.connected(mode, h.Context, &events.WorkflowMeta{Status: h.Status})
		out.Emit(told, len(told.InitialContext))
		if gap != nil {
			out.Emit(*gap, updateFrame)
		}
		switch {
		case since != nil:
			return h.Through, b.catchUp(out, h)
		case h.Status.Terminal(): // nothing more will come
			return h.Through, b.catchUp(out, History{Updates: h.Updates[max(len(h.Updates)-1, 0):]})
		}
		return h.Through, nil
	})
	return through, err
}

// started lets a widget have what happens after an offset, and looks after
// what has happened elsewhere meanwhile.
func (s *Service) started(b *binding, through uint64, accepted bool) {
	if b.start(through, accepted) {
		s.wake(b.run.ID)
	}
}

// updateFrame is about what an event takes besides its data.
const updateFrame = 256

// replay shows a run again: its final context, then its updates one by one.
// The widget is not bound.
func (s *Service) replay(ctx context.Context, session Session, widgetID string, run Run) (Connected, error) {
	h, err := s.opts.Runs.History(ctx, run, 0)
	if err != nil {
		return Connected{}, err
	}
	b := &binding{session: session, widgetID: widgetID, run: run}
	connected := b.connected(events.WidgetReplay, h.Context, &events.WorkflowMeta{Status: h.Status})
	connected.WorkflowStatus = h.Status
	out := newSender(ctx, session)
	out.Emit(connected, len(connected.InitialContext))
	return Connected{RunID: run.ID, Through: h.Through}, b.catchUp(out, h)
}

// connected tells a widget about its run.
func (b *binding) connected(mode events.WidgetMode, now Context, meta *events.WorkflowMeta) events.WidgetWorkflowConnected {
	variables, ref := now.variables()
	return events.WidgetWorkflowConnected{
		WidgetID: b.widgetID, InstanceID: b.run.ID, WorkflowID: b.run.WorkflowID, Mode: mode,
		InitialContext: variables, ContextRef: ref, WorkflowMeta: meta,
	}
}

// catchUp sends what has happened. Every update with all variables would make
// a long run grow with its square: only the latest comes with them, unless the
// end of the run, which always does, follows.
func (b *binding) catchUp(out *sender, h History) error {
	shown := slices.DeleteFunc(slices.Clone(h.Updates), func(u Update) bool { return !u.shown() })
	for i, u := range shown {
		if i == len(shown)-1 && u.Context == nil {
			u.Context = h.Context
		}
		if err := out.Emit(b.event(u), u.size()); err != nil {
			return err
		}
		b.reach(u.Offset, out.accepted())
	}
	return nil
}
