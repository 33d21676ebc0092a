package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// Wait returns when a run is over, or ctx ends.
func (s *Service) Wait(ctx context.Context, runID string) error { return s.waitFor(ctx, runID, nil) }

// Settle returns when a run is over, or waits for nothing but people, or ctx
// ends.
func (s *Service) Settle(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, (*interpreter.Machine).Idle)
}

// lookAgain is how long nothing may be heard of a run before it is looked at
// again: it may go on in another instance.
const lookAgain = 500 * time.Millisecond

// waitFor returns when a run is over or a condition holds, unless that is nil.
func (s *Service) waitFor(ctx context.Context, runID string, cond func(*interpreter.Machine) bool) error {
	var m *interpreter.Machine // has read the log so far
	for {
		next, leave := s.opts.Feed.next(runID) // before looking, so that nothing is missed
		over, err := s.look(ctx, runID, &m, cond)
		if over || err != nil {
			leave()
			return err
		}
		if !pause(ctx, next, leave) {
			return ctx.Err()
		}
	}
}

// pause waits for the next update of a run, or until it is time to look anyway,
// and reports whether ctx goes on.
func pause(ctx context.Context, next <-chan struct{}, leave func()) bool {
	defer leave()
	select {
	case <-next:
	case <-time.After(lookAgain):
	case <-ctx.Done():
		return false
	}
	return true
}

// look reports whether nobody needs to wait for a run any more.
func (s *Service) look(ctx context.Context, runID string, m **interpreter.Machine, cond func(*interpreter.Machine) bool) (over bool, err error) {
	run, err := s.opts.Store.Run(ctx, runID)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil || run.Status.Terminal() || cond == nil {
		return err == nil && run.Status.Terminal(), err
	}
	if *m == nil {
		*m = run.Replay(nil)
	}
	log, err := s.opts.Store.Log(ctx, runID, (*m).Seq())
	if err != nil {
		return false, fmt.Errorf("reading log: %w", err)
	}
	(*m).Replay(log)
	return cond(*m), nil
}
