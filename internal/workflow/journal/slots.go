package journal

import (
	"context"
	"slices"
	"sync"
)

// slots bound how much is done at once, in all and for each tenant. Tenants
// that wait get their turns one after the other, whatever each of them has in
// line.
type slots struct {
	limit, perTenant int

	mu      sync.Mutex
	taken   int
	tenants map[string]*tenant
	turns   []*tenant // those that have somebody in line, each once
}

type tenant struct {
	name  string
	taken int
	line  []chan struct{} // closed when their turn comes
}

func newSlots(limit, perTenant int) *slots {
	if perTenant <= 0 || perTenant > limit {
		perTenant = limit
	}
	return &slots{limit: limit, perTenant: perTenant, tenants: map[string]*tenant{}}
}

// acquire waits for a slot, and reports whether it got one before ctx ended.
func (s *slots) acquire(ctx context.Context, name string) bool {
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
func (s *slots) leave(t *tenant, turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(t.line, turn)
	if i < 0 {
		s.giveBack(t)
		return
	}
	if t.line = slices.Delete(t.line, i, i+1); len(t.line) == 0 {
		s.turns = slices.DeleteFunc(s.turns, func(o *tenant) bool { return o == t })
		s.forget(t)
	}
}

// release gives a slot back.
func (s *slots) release(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack(s.tenants[name])
}

func (s *slots) giveBack(t *tenant) {
	s.taken--
	t.taken--
	s.admit()
	s.forget(t)
}

// forget leaves nothing behind of a tenant that has nothing to do.
func (s *slots) forget(t *tenant) {
	if t.taken == 0 && len(t.line) == 0 {
		delete(s.tenants, t.name)
	}
}

// admit gives free slots to those in line, a tenant at a time.
func (s *slots) admit() {
	for passed := 0; s.taken < s.limit && passed < len(s.turns); {
		t := s.turns[0]
		s.turns = s.turns[1:]
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
