// Package fair bounds how much is done at once, and shares that between tenants.
package fair

import (
	"context"
	"sync"
)

// Slots bound how much is done at once, in all and for each tenant. Tenants
// that wait get their turns one after the other, whatever each of them has in
// line.
type Slots struct {
	limit, perTenant int

	mu      sync.Mutex
	taken   int
	tenants map[string]*tenant
	turns   []*tenant // those that have somebody in line
}

type tenant struct {
	name  string
	taken int
	line  []chan struct{} // closed when their turn comes
}

// New returns slots: limit in all, and perTenant for each tenant; 0 is as many
// as there are.
func New(limit, perTenant int) *Slots {
	if perTenant <= 0 || perTenant > limit {
		perTenant = limit
	}
	return &Slots{limit: limit, perTenant: perTenant, tenants: map[string]*tenant{}}
}

// Acquire waits for a slot, and reports whether it got one before ctx ended.
func (s *Slots) Acquire(ctx context.Context, name string) bool {
	if ctx.Err() != nil {
		return false
	}
	s.mu.Lock()
	t := s.tenants[name]
	if t == nil {
		t = &tenant{name: name}
		s.tenants[name] = t
	}
	if s.taken < s.limit && t.taken < s.perTenant && len(t.line) == 0 {
		s.taken++
		t.taken++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	if t.line = append(t.line, turn); len(t.line) == 1 {
		s.turns = append(s.turns, t)
	}
	s.mu.Unlock()
	select {
	case <-turn:
		return true
	case <-ctx.Done():
		s.leave(t, turn)
		return false
	}
}

// leave takes somebody out of the line, or gives back the slot that came at the
// same moment.
func (s *Slots) leave(t *tenant, turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range t.line {
		if c == turn {
			t.line = append(t.line[:i:i], t.line[i+1:]...)
			return
		}
	}
	s.giveBack(t)
}

// Release gives a slot back.
func (s *Slots) Release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(s.tenants[name])
}

func (s *Slots) giveBack(t *tenant) {
	s.taken--
	t.taken--
	s.admit()
	if t.taken == 0 && len(t.line) == 0 && s.tenants[t.name] == t {
		delete(s.tenants, t.name)
	}
}

// admit gives free Slots to those in line, a tenant at a time.
func (s *Slots) admit() {
	for passed := 0; s.taken < s.limit && passed < len(s.turns); {
		t := s.turns[0]
		s.turns = s.turns[1:]
		if len(t.line) == 0 {
			continue // they have left
		}
		if t.taken >= s.perTenant {
			s.turns = append(s.turns, t)
			passed++
			continue
		}
		turn := t.line[0]
		if t.line = t.line[1:]; len(t.line) > 0 {
			s.turns = append(s.turns, t)
		}
		s.taken++
		t.taken++
		passed = 0
		close(turn)
	}
}
