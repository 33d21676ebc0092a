package bridge

import (
	"context"
	"math"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/rooms"
)

// RunTouched brings the widgets here that show a run to where it is. It is to
// be called when something was published to the room of a run that goes on in
// another instance, and does not wait. However often it is called, one reader
// at a time reads a run.
func (s *Service) RunTouched(runID string) {
	if _, _, any := s.behind(runID); any {
		s.wake(runID)
	}
}

// behind returns the offset after which the updates of a run are to be read
// for the widgets that show it. any is false if there are none.
func (s *Service) behind(runID string) (run Run, after uint64, any bool) {
	after = math.MaxUint64
	for _, b := range s.table.Members(runID) {
		if seen, started := b.touch(); started {
			run, after, any = b.run, min(after, seen), true
		}
	}
	return run, after, any
}

// wake starts the reader of a run, or has it read once more.
func (s *Service) wake(runID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if _, reading := s.readers[runID]; reading {
		s.readers[runID] = true
		return
	}
	s.readers[runID] = false
	s.working.Go(func() { s.read(runID) })
}

// read reads a run until nobody wants it to be read again. What cannot be read
// now is read later.
func (s *Service) read(runID string) {
	for pause := firstPause; ; {
		err := s.advance(runID)
		if err != nil {
			s.opts.Logger.Warn("updates of a run could not be read yet", "run", runID, "error", err)
			sleep(s.ctx, pause)
			pause = min(2*pause, lastPause)
		} else {
			pause = firstPause
		}
		s.mu.Lock()
		if s.closed || err == nil && !s.readers[runID] {
			delete(s.readers, runID)
			s.mu.Unlock()
			return
		}
		s.readers[runID] = false
		s.mu.Unlock()
	}
}

// How long a reader waits after a failure.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// advance gives the widgets that show a run what has happened in it.
func (s *Service) advance(runID string) error {
	run, after, any := s.behind(runID)
	if !any {
		return nil
	}
	h, err := s.opts.Runs.History(s.ctx, run, after)
	if err != nil {
		return err
	}
	for _, u := range h.withContext() {
		s.publish(u)
	}
	return nil
}

// withContext returns the updates of a history, the last with all variables.
func (h History) withContext() []Update {
	for i := len(h.Updates) - 1; i >= 0; i-- {
		if u := &h.Updates[i]; u.shown() {
			if u.Context == nil {
				u.Context = h.Context
			}
			break
		}
	}
	return h.Updates
}

// missed reads what the widgets of a run have missed: updates of the time when
// it went on in another instance. It goes on trying while there are any.
func (s *Service) missed(runID string, after, until uint64) []rooms.Publication[*binding] {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		members := s.table.Members(runID)
		if len(members) == 0 || s.ctx.Err() != nil {
			return nil
		}
		h, err := s.opts.Runs.History(s.ctx, members[0].run, after)
		if err != nil {
			s.opts.Logger.Warn("updates of a run could not be read yet", "run", runID, "error", err)
			sleep(s.ctx, pause)
			continue
		}
		var all []rooms.Publication[*binding]
		for _, u := range h.withContext() {
			if u.Offset <= until {
				all = append(all, publication(u))
			}
		}
		return all
	}
}

func publication(u Update) rooms.Publication[*binding] {
	return rooms.Publication[*binding]{
		Position: cluster.Position{Offset: u.Offset, Prev: u.Prev},
		Deliver:  func(b *binding, _ bool) { b.deliver(u) },
	}
}

// publish gives an update to the widgets that show its run, after those before
// it.
func (s *Service) publish(u Update) { s.table.Publish(u.RunID, publication(u)) }

// Close ends the readers.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.working.Wait()
}
