package workflow

import "context"

// Wait returns when a run is over in this process, or ctx ends.
func (s *Service) Wait(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, func(*execution) bool { return false })
}

// Settle returns when a run is over, or waits for nothing but people, or ctx
// ends.
func (s *Service) Settle(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, func(x *execution) bool {
		waiting := x.machine.suspendedNodes()
		for _, n := range waiting {
			if n.suspended.Config == nil {
				return false // a delay
			}
		}
		return len(waiting) > 0 && !x.machine.running()
	})
}

// waitFor returns when a run is over or a condition holds.
func (s *Service) waitFor(ctx context.Context, runID string, cond func(*execution) bool) error {
	x := s.find(runID)
	if x == nil {
		return nil
	}
	for {
		x.mu.Lock()
		changed, done := x.changed, x.over() || cond(x)
		x.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
