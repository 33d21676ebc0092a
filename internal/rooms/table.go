// Package rooms keeps who is in which room of this process, and the order in
// which members get what is published.
//
// Publications to one room reach all its members in the same order. A member
// may join on hold: it then sees every publication that begins after it
// joined, but only when it is released, and without those that it has got
// otherwise. That is how a snapshot and what follows it fit together without
// a gap or a repetition, even when a publication is on its way here from
// another process while the snapshot is read.
//
// Methods may be called concurrently. A publication does not hold up joins and
// leaves, of its own room or of any other.
package rooms

import (
	"math"
	"sync"
)

// A Table holds the rooms whose members are of type M.
type Table[M comparable] struct {
	mu    sync.Mutex
	rooms map[string]*room[M]
	seats map[M][]*seat[M] // the seats of each member
}

// New returns an empty table.
func New[M comparable]() *Table[M] {
	return &Table[M]{rooms: make(map[string]*room[M]), seats: make(map[M][]*seat[M])}
}

// A room is guarded by the table's mutex, except for publishing.
type room[M comparable] struct {
	name       string
	publishing sync.Mutex // held while a publication reaches the members
	seats      []*seat[M]
	shared     bool // seats is being read by a publication; copy before writing
}

// A seat is one member's place in one room.
type seat[M comparable] struct {
	member M
	room   *room[M]

	// since is the offset after which the member has got everything: fromNow
	// unless it followed. Guarded by the table's mutex.
	since uint64

	mu      sync.Mutex
	left    bool
	held    bool
	after   uint64 // publications up to this offset are left out
	waiting []publication[M]
	lost    bool // more came in while held than is kept
}

type publication[M comparable] struct {
	offset  uint64
	deliver func(M)
}

// fromNow is the since of a member that only joined.
const fromNow = math.MaxUint64

// maxWaiting bounds what is kept for a member on hold. Beyond it the member
// reads another snapshot instead.
const maxWaiting = 1024

// Join puts a member into a room and reports whether it was not there before.
func (t *Table[M]) Join(name string, m M) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.find(name, m) != nil {
		return false
	}
	t.sit(name, m)
	return true
}

// find returns the seat of a member, nil if it has none there.
func (t *Table[M]) find(name string, m M) *seat[M] {
	for _, s := range t.seats[m] {
		if s.room.name == name {
			return s
		}
	}
	return nil
}

func (t *Table[M]) sit(name string, m M) *seat[M] {
	r := t.rooms[name]
	if r == nil {
		r = &room[M]{name: name}
		t.rooms[name] = r
	}
	s := &seat[M]{member: m, room: r, since: fromNow}
	r.own()
	r.seats = append(r.seats, s)
	t.seats[m] = append(t.seats[m], s)
	return s
}

// own makes the seats writable while publications may be reading them.
func (r *room[M]) own() {
	if r.shared {
		r.seats = append(make([]*seat[M], 0, len(r.seats)+len(r.seats)/4+1), r.seats...)
		r.shared = false
	}
}

// Follow puts a member into a room and sees to it that it gets everything
// published there after offset since. It joins on hold; snapshot brings the
// member from after up to the offset that it returns, and is called again to
// go on from there when too much was published meanwhile; then the member is
// released. A member that has everything after since already is left alone.
// If snapshot fails, the member is in the room only if it was before.
func (t *Table[M]) Follow(name string, m M, since uint64, snapshot func(after uint64) (through uint64, err error)) error {
	t.mu.Lock()
	s := t.find(name, m)
	joined := s == nil
	if joined {
		s = t.sit(name, m)
	}
	if s.since <= since {
		t.mu.Unlock()
		return nil
	}
	s.hold()
	t.mu.Unlock()
	for after := since; ; {
		through, err := snapshot(after)
		switch {
		case err != nil && joined:
			t.Leave(name, m)
			return err
		case err != nil:
			s.release(0)
			return err
		}
		if s.release(through) {
			break
		}
		after = through
	}
	t.mu.Lock()
	s.since = since
	t.mu.Unlock()
	return nil
}

func (s *seat[M]) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// release delivers what waits beyond through and ends the hold. It reports
// false, and holds on, when something was lost: then through is too old.
func (s *seat[M]) release(through uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = max(s.after, through)
	waiting, lost := s.waiting, s.lost
	s.waiting, s.lost = nil, false
	if lost {
		return false
	}
	s.held = false
	for _, p := range waiting {
		s.deliver(p)
	}
	return true
}

// deliver hands a publication to the member, unless it has left or has it.
func (s *seat[M]) deliver(p publication[M]) {
	switch {
	case s.left, p.offset > 0 && p.offset <= s.after:
	case s.held && len(s.waiting) == maxWaiting:
		s.waiting, s.lost = nil, true
	case s.held && s.lost:
	case s.held:
		s.waiting = append(s.waiting, p)
	default:
		p.deliver(s.member)
	}
}

// Leave takes a member out of a room and reports whether it was there.
func (t *Table[M]) Leave(name string, m M) bool {
	t.mu.Lock()
	s := t.find(name, m)
	if s == nil {
		t.mu.Unlock()
		return false
	}
	mine := t.seats[m]
	for i := range mine {
		if mine[i] == s {
			mine[i] = mine[len(mine)-1]
			mine[len(mine)-1] = nil
			t.seats[m] = mine[:len(mine)-1]
			break
		}
	}
	if len(t.seats[m]) == 0 {
		delete(t.seats, m)
	}
	t.vacate(s)
	t.mu.Unlock()
	s.leave()
	return true
}

// LeaveAll takes a member out of all its rooms.
func (t *Table[M]) LeaveAll(m M) {
	t.mu.Lock()
	mine := t.seats[m]
	delete(t.seats, m)
	for _, s := range mine {
		t.vacate(s)
	}
	t.mu.Unlock()
	for _, s := range mine {
		s.leave()
	}
}

// leave makes sure that nothing reaches the member through the seat any more.
func (s *seat[M]) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.waiting = true, nil
}

// vacate removes a seat from its room, and the room with its last seat.
func (t *Table[M]) vacate(s *seat[M]) {
	r := s.room
	if len(r.seats) == 1 {
		delete(t.rooms, r.name)
		return
	}
	r.own()
	for i := range r.seats {
		if r.seats[i] == s {
			r.seats[i] = r.seats[len(r.seats)-1]
			r.seats[len(r.seats)-1] = nil
			r.seats = r.seats[:len(r.seats)-1]
			return
		}
	}
}

// Publish calls deliver for every member of a room, in the order of Publish
// calls. offset numbers the publications of a room; 0 is one without number.
// deliver must not block.
func (t *Table[M]) Publish(name string, offset uint64, deliver func(M)) {
	t.mu.Lock()
	r := t.rooms[name]
	t.mu.Unlock()
	if r == nil {
		return
	}
	r.publishing.Lock()
	defer r.publishing.Unlock()
	p := publication[M]{offset, deliver}
	for _, s := range t.share(r) {
		s.mu.Lock()
		s.deliver(p)
		s.mu.Unlock()
	}
}

// share returns the seats of a room for reading.
func (t *Table[M]) share(r *room[M]) []*seat[M] {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.shared = true
	return r.seats
}

// Members returns the members of a room.
func (t *Table[M]) Members(name string) []M {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rooms[name]
	if r == nil {
		return nil
	}
	members := make([]M, len(r.seats))
	for i, s := range r.seats {
		members[i] = s.member
	}
	return members
}

// Rooms returns the rooms that a member is in.
func (t *Table[M]) Rooms(m M) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := make([]string, len(t.seats[m]))
	for i, s := range t.seats[m] {
		names[i] = s.room.name
	}
	return names
}

// Names returns the rooms that have members.
func (t *Table[M]) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := make([]string, 0, len(t.rooms))
	for name := range t.rooms {
		names = append(names, name)
	}
	return names
}

// Len returns the number of rooms.
func (t *Table[M]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rooms)
}
