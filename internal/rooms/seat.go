package rooms

import (
	"math"
	"sync"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A seat is one member's place in one room.
type seat[M comparable] struct {
	member M
	room   *room[M]

	// Guarded by the table's mutex.
	inRoom, inOwn int // where the seat is among those of its room and of its member
	// since is the offset after which the member has got everything: fromNow
	// unless it followed.
	since uint64

	mu    sync.Mutex
	from  cluster.ID // publications with IDs up to this are late
	mixed bool       // and yet some of those were not
	left  bool
	held  bool
	// entering is whether it was not in the room before it was held.
	entering bool
	lost     bool   // more came in while held than is kept
	missing  bool   // some of that has not come with a snapshot yet
	after    uint64 // publications up to this offset are left out
	last     uint64 // the latest offset that was delivered, and none before it is any more
	waiting  []publication[M]
}

// publication is a [Publication] that has begun.
type publication[M comparable] struct {
	offset  uint64
	id      cluster.ID
	deliver func(m M, late bool)
}

// fromNow is the since of a member that only joined.
const fromNow = math.MaxUint64

// maxWaiting bounds what is kept for a member on hold, and with it what a
// client gets at one blow. Beyond it the member reads another snapshot instead.
const maxWaiting = 64

func (s *seat[M]) hold(entering bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held, s.entering = true, entering
}

// release delivers what waits beyond through and ends the hold. When something
// was lost it holds on and reports false: another snapshot must begin after
// the offset that it returns.
func (s *seat[M]) release(through uint64, now cluster.ID, joined bool) (after uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after, s.from, s.mixed = max(s.after, through), now, !joined
	waiting, lost := s.waiting, s.lost
	s.waiting, s.lost = nil, false
	if s.missing = lost; lost {
		return max(through, s.last), false
	}
	s.held = false
	for _, p := range waiting {
		s.deliver(p)
	}
	return through, true
}

// resume ends a hold without a snapshot: what waits is delivered. It reports
// whether nothing was lost meanwhile.
func (s *seat[M]) resume(now cluster.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.resumeLocked(now)
}

func (s *seat[M]) resumeLocked(now cluster.ID) bool {
	s.from, s.mixed = now, true
	waiting, lost := s.waiting, s.lost || s.missing
	s.waiting, s.lost, s.missing, s.held = nil, false, false, false
	for _, p := range waiting {
		s.deliver(p)
	}
	return !lost
}

// deliver hands a publication to the member, unless it has left or has it.
func (s *seat[M]) deliver(p publication[M]) {
	switch {
	case s.left, p.offset > 0 && p.offset <= max(s.after, s.last):
	case s.held && len(s.waiting) == maxWaiting:
		s.waiting, s.lost = nil, true
	case s.held && s.lost:
	case s.held:
		s.waiting = append(s.waiting, p)
	default:
		s.last = max(s.last, p.offset)
		p.deliver(s.member, p.id.Compare(s.from) <= 0)
	}
}

// leave makes sure that nothing reaches the member through the seat any more.
func (s *seat[M]) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.waiting = true, nil
}
