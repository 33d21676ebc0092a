package workflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/waitgroup"
)

// batch is how many runs are taken over at a time.
const batch = 100

// Resume takes up runs that go on nowhere: those of instances that are gone,
// and those that this one had to give up when the store failed. Those that
// were waiting go on waiting; those that were in the middle of a node end as
// interrupted, because nobody knows how far the node had got.
func (s *Service) Resume(ctx context.Context) error {
	owner := s.opts.Owner()
	if owner == "" {
		return nil
	}
	failed := s.repair(ctx, owner)
	for {
		runs, err := s.opts.Store.AbandonedRuns(ctx, batch)
		if err != nil {
			return errors.Join(failed, fmt.Errorf("looking for abandoned runs: %w", err))
		}
		taken := 0
		for _, r := range runs {
			ok, err := s.takeOver(ctx, r, owner)
			if ok {
				taken++
			}
			if err != nil {
				failed = errors.Join(failed, err)
			}
		}
		if taken < batch || failed != nil {
			return failed
		}
	}
}

// takeOver takes up a run whose owner is gone, unless another instance does.
func (s *Service) takeOver(ctx context.Context, r Run, owner string) (bool, error) {
	if r.Owner == owner {
		return false, nil // without other instances the owner is nowhere to be found
	}
	taken, err := s.opts.Store.TakeRun(ctx, r.ID, r.Owner, owner)
	if err != nil {
		return false, fmt.Errorf("taking over run %s: %w", r.ID, err)
	}
	if !taken {
		return false, nil
	}
	r.Owner = owner
	return true, s.resume(ctx, r)
}

// repair takes up the runs that were given up here when the store failed.
func (s *Service) repair(ctx context.Context, owner string) error {
	s.mu.Lock()
	broken := slices.Collect(maps.Keys(s.broken))
	s.mu.Unlock()
	for _, id := range broken {
		r, err := s.opts.Store.Run(ctx, id)
		if err != nil {
			return fmt.Errorf("reading run %s, which was given up: %w", id, err)
		}
		if r.Owner == owner && !r.Status.Terminal() {
			if err := s.resume(ctx, r); err != nil {
				return err
			}
		}
		s.mu.Lock()
		delete(s.broken, id)
		s.mu.Unlock()
	}
	return nil
}

// resume takes up a run that is this instance's and goes on nowhere.
func (s *Service) resume(ctx context.Context, r Run) error {
	x, err := s.begin(r)
	if x == nil {
		return err
	}
	defer x.mu.Unlock()
	if err := x.load(ctx); err != nil {
		s.mu.Lock()
		s.broken[r.ID] = true
		s.mu.Unlock()
		return err
	}
	if x.over() {
		x.withdraw()
		return nil
	}
	defer s.opts.Resumed(r, x.machine.seq)
	if !x.machine.running() && len(x.machine.suspendedNodes()) > 0 {
		x.arm()
		return nil
	}
	e, err := newEntry(RunEnded, "", ending{Status: events.RunFailed, Error: "interrupted"})
	if err != nil {
		return err
	}
	return x.commit(e)
}

// Lost gives up every run that goes on here, without a word: they may be
// others' from now on. It does not wait for anything.
func (s *Service) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	live := slices.Collect(maps.Values(s.live))
	clear(s.live)
	clear(s.broken)
	for _, x := range live {
		x.cancel()
	}
	if s.closing {
		return
	}
	s.working.Go(func() {
		for _, x := range live {
			x.giveUp()
		}
	})
}

// giveUp leaves a run to others.
func (x *execution) giveUp() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.broken = true
	x.finish()
}

// Close lets nothing new begin, stops the nodes that are running, and waits
// for them until ctx ends. What is not over is released, for another instance or
// the next process to take up.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	live := make([]*execution, 0, len(s.live))
	for _, x := range s.live {
		live = append(live, x)
	}
	s.mu.Unlock()
	for _, x := range live {
		x.cancel()
		x.mu.Lock()
		for _, t := range x.timers {
			t.Stop()
		}
		x.tell()
		x.mu.Unlock()
	}
	if err := waitgroup.Wait(ctx, &s.working); err != nil {
		return err
	}
	if owner := s.opts.Owner(); owner != "" {
		if err := s.opts.Store.ReleaseRuns(ctx, owner); err != nil {
			return fmt.Errorf("releasing runs: %w", err)
		}
	}
	return nil
}
