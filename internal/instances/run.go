package instances

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// Run keeps this process there until ctx ends, and then takes it out. What it
// owned must have been stopped before.
func (s *Service) Run(ctx context.Context) error {
	var sweeping sync.WaitGroup
	sweeping.Go(func() { s.keepSweeping(ctx) })
	for !s.opts.Alone && wait(ctx, s.opts.Heartbeat) {
		s.beat(ctx)
	}
	sweeping.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Heartbeat)
	defer cancel()
	return s.Deregister(last)
}

// wait waits for d, and reports whether ctx goes on.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// beat renews, as often as it takes, until the time for it is over.
func (s *Service) beat(ctx context.Context) {
	for {
		s.mu.Lock()
		id, until := s.id, s.until
		s.mu.Unlock()
		if left := time.Until(until); id == "" || left <= 0 {
			s.lose(ctx, id, nil)
			return
		}
		err := s.renew(ctx, id, until)
		if err == nil || ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrGone) {
			s.lose(ctx, id, err)
			return
		}
		s.opts.Logger.Warn("this instance could not say that it is there", "instance", id, "error", err)
		wait(ctx, min(s.opts.Heartbeat/4, time.Until(until)))
	}
}

func (s *Service) renew(ctx context.Context, id string, until time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	sent := time.Now()
	err := s.opts.Store.Renew(ctx, id, s.opts.Expiry)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.stats.Failures++
		return err
	}
	s.stats.Renewals++
	s.until = s.deadline(sent)
	return nil
}

// lose gives up what this instance owned and comes back under another id.
func (s *Service) lose(ctx context.Context, id string, err error) {
	s.mu.Lock()
	s.id = ""
	s.stats.Lost++
	s.mu.Unlock()
	s.opts.Logger.Error("this instance was silent for too long: others may take over what it was doing", "instance", id, "error", err)
	for _, fn := range s.lost {
		fn()
	}
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, s.opts.Expiry)
		s.opts.Store.Remove(attempt, id) // so that nobody waits for its expiry
		err := s.register(attempt)
		cancel()
		if err == nil {
			s.opts.Logger.Info("this instance is there again", "instance", s.ID(), "before", id)
			s.Sweep()
			return
		}
		s.opts.Logger.Warn("this instance could not come back", "error", err)
		wait(ctx, s.opts.Heartbeat/2+rand.N(s.opts.Heartbeat/2))
	}
}

// keepSweeping takes over what is nobody's: at the start, with every heartbeat,
// and when the time of an instance is over that has missed one.
func (s *Service) keepSweeping(ctx context.Context) {
	beat := time.NewTicker(s.opts.Heartbeat)
	defer beat.Stop()
	for {
		var expiry <-chan time.Time
		if s.ID() != "" {
			s.sweepOnce(ctx)
			expiry = s.nextExpiry(ctx)
		}
		select {
		case <-beat.C:
		case <-expiry:
		case <-s.now:
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) sweepOnce(ctx context.Context) {
	if !s.opts.Alone {
		s.removeSilent(ctx)
	}
	for _, fn := range s.sweep {
		if err := fn(ctx); err != nil {
			s.complain(ctx, "what belongs to nobody could not be taken over", err)
		}
	}
}

// nextExpiry is told when the time of an instance is over, if that is before the
// next heartbeat: what it was doing is not to wait for that. nil is that none is.
func (s *Service) nextExpiry(ctx context.Context) <-chan time.Time {
	if s.opts.Alone {
		return nil
	}
	left, any, err := s.opts.Store.NextExpiry(ctx)
	if err != nil {
		s.complain(ctx, "when instances expire could not be read", err)
		return nil
	}
	if !any || left >= s.opts.Heartbeat {
		return nil
	}
	return time.After(left + time.Millisecond) // as clocks are read in microseconds
}

func (s *Service) removeSilent(ctx context.Context) {
	gone, err := s.opts.Store.RemoveSilent(ctx)
	if err != nil {
		s.complain(ctx, "instances that are gone could not be removed", err)
		return
	}
	for _, id := range gone {
		s.opts.Logger.Warn("an instance is gone without a word", "gone", id)
	}
	if len(gone) == 0 {
		return
	}
	s.mu.Lock()
	s.stats.Removed += int64(len(gone))
	s.mu.Unlock()
	for _, fn := range s.gone {
		fn(gone)
	}
}

func (s *Service) complain(ctx context.Context, message string, err error) {
	if ctx.Err() == nil {
		s.opts.Logger.Error(message, "error", err)
	}
}
