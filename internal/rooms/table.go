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

import "sync"

// A Table holds the rooms whose members are of type M.
type Table[M comparable] struct {
	mu    sync.Mutex
	rooms map[string]*room[M]
	seats map[M][]*seat[M] // the seats of each member
	// index finds the seats of members that have more than few. Those with
	// fewer, nearly all, do not pay for a map.
	index map[M]map[string]*seat[M]
}

// few is how many seats are searched one by one.
const few = 8

// New returns an empty table.
func New[M comparable]() *Table[M] {
	return &Table[M]{
		rooms: make(map[string]*room[M]),
		seats: make(map[M][]*seat[M]),
		index: make(map[M]map[string]*seat[M]),
	}
}

// A room is guarded by the table's mutex, except for publishing.
type room[M comparable] struct {
	name       string
	publishing sync.Mutex // held while a publication reaches the members
	seats      []*seat[M]
	shared     bool // seats is being read by a publication; copy before writing
}

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
	mine := t.seats[m]
	if len(mine) > few {
		return t.index[m][name]
	}
	for _, s := range mine {
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
	r.own()
	s := &seat[M]{member: m, room: r, since: fromNow, inRoom: len(r.seats), inOwn: len(t.seats[m])}
	r.seats = append(r.seats, s)
	t.seats[m] = append(t.seats[m], s)
	t.enter(s)
	return s
}

// enter keeps the index of a member that has many seats.
func (t *Table[M]) enter(s *seat[M]) {
	mine := t.seats[s.member]
	switch {
	case len(mine) <= few:
	case len(mine) == few+1:
		index := make(map[string]*seat[M], 2*few)
		for _, s := range mine {
			index[s.room.name] = s
		}
		t.index[s.member] = index
	default:
		t.index[s.member][s.room.name] = s
	}
}

// own makes the seats writable while publications may be reading them.
func (r *room[M]) own() {
	if r.shared {
		r.seats = append(make([]*seat[M], 0, len(r.seats)+len(r.seats)/4+1), r.seats...)
		r.shared = false
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
	t.disown(s)
	t.vacate(s)
	t.mu.Unlock()
	s.leave()
	return true
}

// disown removes a seat from those of its member.
func (t *Table[M]) disown(s *seat[M]) {
	mine := t.seats[s.member]
	if len(mine) == 1 {
		delete(t.seats, s.member)
		return
	}
	last := mine[len(mine)-1]
	mine[s.inOwn], last.inOwn = last, s.inOwn
	mine[len(mine)-1] = nil
	t.seats[s.member] = mine[:len(mine)-1]
	switch {
	case len(mine) == few+1:
		delete(t.index, s.member)
	case len(mine) > few+1:
		delete(t.index[s.member], s.room.name)
	}
}

// LeaveAll takes a member out of all its rooms.
func (t *Table[M]) LeaveAll(m M) {
	t.mu.Lock()
	mine := t.seats[m]
	delete(t.seats, m)
	delete(t.index, m)
	for _, s := range mine {
		t.vacate(s)
	}
	t.mu.Unlock()
	for _, s := range mine {
		s.leave()
	}
}

// vacate removes a seat from its room, and the room with its last seat.
func (t *Table[M]) vacate(s *seat[M]) {
	r := s.room
	if len(r.seats) == 1 {
		delete(t.rooms, r.name)
		return
	}
	r.own()
	last := r.seats[len(r.seats)-1]
	r.seats[s.inRoom], last.inRoom = last, s.inRoom
	r.seats[len(r.seats)-1] = nil
	r.seats = r.seats[:len(r.seats)-1]
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

// Len returns the number of rooms.
func (t *Table[M]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rooms)
}
