// Package fair bounds how much is done at once, and shares that between tenants.
package fair

import (
	"context"
	"slices"
	"sync"
)

// Slots bound how much is done at once, in all and for each tenant. Tenants
// that wait get their turns one after the other, whatever each of them has in
// line.
// It may be used concurrently.
type Slots struct {
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

// New returns slots: limit in all, and perTenant for each tenant; 0 is as many
// as there are.
func New(limit, perTenant int) *Slots {
	if perTenant <= 0 || perTenant > limit {
		perTenant = limit
	}
	return &Slots{limit: limit, perTenant: perTenant, tenants: map[string]*tenant{}}
}

// PerTenant is how many slots one tenant may have.
func (s *Slots) PerTenant() int { return s.perTenant }

// Acquire waits for a slot, and reports whether it got one before ctx ended.
func (s *Slots) Acquire(ctx context.Context, name string) bool {
	return ctx.Err() == nil && s.Enter(name).Wait(ctx)
}

// A Turn is a place in line.
type Turn struct {
	slots  *Slots
	tenant *tenant
	come   chan struct{} // closed when it has
}

// Enter takes a place in line at once, for those who do not wait where they ask
// and keep their order all the same. [Turn.Wait] must follow.
func (s *Slots) Enter(name string) Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[name]
	if t == nil {
		t = &tenant{name: name}
		s.tenants[name] = t
	}
	turn := Turn{s, t, make(chan struct{})}
	if s.taken < s.limit && t.taken < s.perTenant && len(t.line) == 0 {
		s.taken++
		t.taken++
		close(turn.come)
		return turn
	}
	if t.line = append(t.line, turn.come); len(t.line) == 1 {
		s.turns = append(s.turns, t)
	}
	return turn
}

// Wait waits for the slot, and reports whether it came before ctx ended.
func (t Turn) Wait(ctx context.Context) bool {
	select {
	case <-t.come:
		return true
	default:
	}
	select {
	case <-t.come:
		return true
	case <-ctx.Done():
		t.slots.leave(t.tenant, t.come)
		return false
	}
}

// TryAcquire takes a slot if one is free and nobody of the tenant waits.
func (s *Slots) TryAcquire(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[name]
	if s.taken >= s.limit || t != nil && (t.taken >= s.perTenant || len(t.line) > 0) {
		return false
	}
	if t == nil {
		t = &tenant{name: name}
		s.tenants[name] = t
	}
	s.taken++
	t.taken++
	return true
}

// leave takes somebody out of the line, or gives back the slot that came at the
// same moment.
func (s *Slots) leave(t *tenant, turn chan struct{}) {
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
	s.forget(t)
}

// forget leaves nothing behind of a tenant that has nothing to do.
func (s *Slots) forget(t *tenant) {
	if t.taken == 0 && len(t.line) == 0 {
		delete(s.tenants, t.name)
	}
}

// admit gives free Slots to those in line, a tenant at a time.
func (s *Slots) admit() {
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
