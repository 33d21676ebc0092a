package bridge

import (
	"context"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
)

// execute starts a run for a widget.
func (s *Service) execute(ctx context.Context, session Session, c Connect) (Connected, error) {
	w, err := s.opts.Runs.Executable(ctx, session.Identity(), c.WorkflowID)
	if err != nil {
		return Connected{}, err
	}
	if err := s.admit(ctx, session.Identity(), c, w.Tenant); err != nil {
		return Connected{}, err
	}
	d, err := s.opts.Runs.Draft(ctx, session.Identity(), w, c.Input)
	if err != nil {
		return Connected{}, err
	}
	if once.Again(ctx) { // it may have been launched, and may be over
		if err := s.opts.Runs.Launch(ctx, d); err != nil {
			return Connected{}, err
		}
		return s.rebind(ctx, session, c.WidgetID, d.Run.ID)
	}
	b := s.bind(session, c.WidgetID, d.Run)
	if err := s.launch(ctx, b, d); err != nil {
		s.unbind(session, c.WidgetID)
		return Connected{}, err
	}
	return Connected{RunID: d.Run.ID, Through: d.Through}, nil
}

// launch lets the run of a widget go. The widget and its session wait for what
// the run does before it goes, so that they miss nothing, and get it after the
// widget was told that there is a run.
func (s *Service) launch(ctx context.Context, b *binding, d Draft) error {
	out := newSender(context.WithoutCancel(ctx), b.session)
	launched, brought := false, false
	widget := func(after uint64) (uint64, error) {
		if launched { // more came meanwhile than is kept
			return s.bring(out, b, after)
		}
		if err := s.opts.Runs.Launch(ctx, d); err != nil {
			return 0, err
		}
		launched = true
		told := b.connected(events.WidgetExecute, d.Context, nil)
		out.Emit(told, len(told.InitialContext))
		s.started(b, d.Through, out.accepted())
		return d.Through, nil
	}
	return s.enter(b, d.Through, func(after, until uint64) (uint64, error) {
		if brought {
			return s.past(out, b.run, after, until)
		}
		brought = true
		return d.Through, s.table.Follow(d.Run.ID, b, d.Through, widget)
	})
}
