package workflow

import (
	"context"
	"errors"
	"fmt"
)

// Published returns what the room of a run got after an offset, up to another,
// and whether there is such a run.
func (s *Service) Published(ctx context.Context, runID string, after, until uint64) ([]Update, bool, error) {
	run, err := s.opts.Store.Run(ctx, runID)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading run: %w", err)
	}
	h, err := s.History(ctx, run, after)
	for i, u := range h.Updates {
		if u.Offset > until {
			h.Updates = h.Updates[:i]
			break
		}
	}
	return h.Updates, true, err
}

// Head returns the offset of the latest entry of a run, which is cheap if it
// is not far beyond near.
func (s *Service) Head(ctx context.Context, run Run, near uint64) (uint64, error) {
	for _, after := range []uint64{max(near, 1) - 1, 0} {
		log, err := s.opts.Store.Log(ctx, run.ID, after)
		if err != nil {
			return 0, fmt.Errorf("reading log: %w", err)
		}
		if len(log) > 0 {
			return log[len(log)-1].Seq, nil
		}
	}
	return 0, nil
}

// Heads returns the offsets of the latest updates of runs, or a little more.
// Those without any are left out.
func (s *Service) Heads(ctx context.Context, runIDs []string) (map[string]uint64, error) {
	heads, err := s.opts.Store.LogHeads(ctx, runIDs)
	if err != nil {
		return nil, fmt.Errorf("reading logs: %w", err)
	}
	return heads, nil
}
