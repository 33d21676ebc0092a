package workflow

import (
	"context"
	"errors"
	"time"
)

// Wait returns when a run is over, or ctx ends.
func (s *Service) Wait(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, func(State) bool { return false })
}

// Settle returns when a run is over, or waits for nothing but people, or ctx
// ends.
func (s *Service) Settle(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, func(st State) bool { return st.machine.Idle() })
}

// lookAgain is how long nothing may be heard of a run before its log is read
// again: it may go on in another instance.
const lookAgain = 500 * time.Millisecond

// waitFor returns when a run is over or a condition holds.
func (s *Service) waitFor(ctx context.Context, runID string, cond func(State) bool) error {
	for {
		next := s.opts.Feed.next(runID) // before looking, so that nothing is missed
		run, err := s.opts.Store.Run(ctx, runID)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if run.Status.Terminal() {
			return nil
		}
		if st, err := s.State(ctx, run); err != nil {
			return err
		} else if cond(st) {
			return nil
		}
		select {
		case <-next:
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
