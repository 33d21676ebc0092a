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

// Heads returns the offsets of the latest updates of runs, or a little more.
// Those without any are left out.
func (s *Service) Heads(ctx context.Context, runIDs []string) (map[string]uint64, error) {
	heads, err := s.opts.Store.LogHeads(ctx, runIDs)
	if err != nil {
		return nil, fmt.Errorf("reading logs: %w", err)
	}
	return heads, nil
}
