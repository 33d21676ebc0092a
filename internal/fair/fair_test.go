package fair

import (
	"context"
	"sync"
	"testing"
)

// A tenant whose runs come and go while it waits has no more turns than others,
// and leaves nothing behind.
func TestTurns(t *testing.T) {
	s := New(1, 1)
	s.Acquire(t.Context(), "busy")
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		var leaving sync.WaitGroup
		leaving.Go(func() { s.Acquire(ctx, "pushy") })
		s.awaitLine(t, "pushy", 1)
		cancel()
		leaving.Wait()
	}
	if len(s.turns) != 0 || len(s.tenants) != 1 {
		t.Errorf("%d turns and %d tenants are left", len(s.turns), len(s.tenants))
	}

	var mu sync.Mutex
	var order []string
	var waiting sync.WaitGroup
	for _, name := range []string{"pushy", "modest"} {
		for n := range 10 {
			waiting.Go(func() {
				s.Acquire(t.Context(), name)
				mu.Lock()
				order = append(order, name)
				mu.Unlock()
				s.Release(name)
			})
			s.awaitLine(t, name, n+1)
		}
	}
	s.Release("busy")
	waiting.Wait()
	for i := range order {
		if want := []string{"pushy", "modest"}[i%2]; order[i] != want {
			t.Fatalf("turns are taken by %v", order)
		}
	}
	if len(s.tenants) != 0 || s.taken != 0 {
		t.Errorf("%d slots are taken, of %d tenants", s.taken, len(s.tenants))
	}
}

// awaitLine returns when so many of a tenant are in line.
func (s *Slots) awaitLine(t *testing.T, name string, n int) {
	for t.Context().Err() == nil {
		s.mu.Lock()
		there := s.tenants[name] != nil && len(s.tenants[name].line) == n
		s.mu.Unlock()
		if there {
			return
		}
	}
}

// Who enters has its place, whenever it waits for the turn.
func TestEnter(t *testing.T) {
	s := New(2, 1)
	first, second, third := s.Enter("a"), s.Enter("a"), s.Enter("a")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if !first.Wait(gone) {
		t.Error("a turn that has come is not had")
	}
	if second.Wait(gone) {
		t.Error("somebody who left has a turn")
	}
	s.Release("a")
	if !third.Wait(t.Context()) {
		t.Error("the last has no turn")
	}
	s.Release("a")
	if len(s.tenants) != 0 || s.taken != 0 {
		t.Errorf("%d slots are taken, of %d tenants", s.taken, len(s.tenants))
	}
}
