package rooms

import (
	"math"
	"slices"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A Place is where a member stands in a room, so that it can be taken up
// again, here or in another process.
type Place struct {
	Room string
	// From is the ID after which publications were its; with Mixed, some up to
	// it were too.
	From  cluster.ID
	Mixed bool
	// Since and After are those of Follow: it has everything after Since, and
	// nothing up to After that was published later. Last is the number up to
	// which it has been served.
	Since, After, Last uint64
	// Fetching says that something behind Last is being fetched: what was
	// published to other rooms has overtaken it.
	Fetching bool
}

// nowhere is the From of a place that nobody can return to.
var nowhere = cluster.ID{Ms: math.MaxUint64}

// Depart takes a member out of all its rooms and returns where it stood: it
// has got every publication that has begun before it leaves a room, and no
// other. It waits for those that are reaching the members.
func (t *Table[M]) Depart(m M) []Place {
	t.mu.Lock()
	mine := slices.Clone(t.seats[m])
	t.mu.Unlock()
	places := make([]Place, 0, len(mine))
	for _, s := range mine {
		s.room.publishing.Lock()
		if p, ok := t.depart(s); ok {
			places = append(places, p)
		}
		s.room.publishing.Unlock()
	}
	return places
}

// depart vacates a seat. A member that is on hold has not got its snapshot: if
// it was not in the room before, it is not there yet, and else it gets what has
// waited. The publishing mutex is held.
func (t *Table[M]) depart(s *seat[M]) (p Place, ok bool) {
	t.mu.Lock()
	if t.find(s.room.name, s.member) != s {
		t.mu.Unlock()
		return Place{}, false
	}
	t.disown(s)
	t.vacate(s)
	t.mu.Unlock()
	q := &s.room.sequence
	s.mu.Lock()
	defer s.mu.Unlock()
	entering := s.held && s.entering
	if s.held && !entering && !s.resumeLocked(t.opts.Now()) {
		s.from, s.mixed = nowhere, true
	}
	s.left, s.waiting = true, nil
	return Place{s.room.name, s.from, s.mixed, s.since, s.after, max(s.last, q.seen), q.fetching}, !entering
}

// Return puts a member back where it stood. What it has got since must follow
// by a call of Served.
func (t *Table[M]) Return(m M, p Place) {
	t.mu.Lock()
	s := t.find(p.Room, m)
	if s == nil {
		s = t.sit(p.Room, m)
	}
	s.since = p.Since
	t.mu.Unlock()
	s.mu.Lock()
	s.from, s.mixed, s.after, s.last = p.From, p.Mixed, p.After, p.Last
	s.mu.Unlock()
}

// Served notes that a member that has returned has everything in a room up to
// an offset, or gets it by another way: it is not to come again, here or where
// the member goes on next.
func (t *Table[M]) Served(m M, name string, through uint64) {
	t.mu.Lock()
	s := t.find(name, m)
	t.mu.Unlock()
	if s == nil {
		return
	}
	s.mu.Lock()
	s.last = max(s.last, through)
	s.mu.Unlock()
	s.room.begin(through)
}
