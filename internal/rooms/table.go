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
// Publications may be numbered and may come from several processes. A room
// takes each of them once and in the order of their numbers, and fetches what
// has not come (sequence.go).
//
// Methods may be called concurrently. A publication does not hold up joins and
// leaves, of its own room or of any other.
package rooms

import (
	"maps"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/internal/cluster"
)

// Options configure a [Table]. Everything may be left out.
type Options[M comparable] struct {
	// Now returns the ID of the latest publication to any room.
	Now func() cluster.ID
	// Entered and Vacated are called when a room gets its first member and
	// loses its last, in that order. They must not block.
	Entered, Vacated func(room string)
	// Missed returns what was published to a room after an offset, up to
	// another: in order, and with an unnumbered publication in the place of
	// what cannot be had. If that is much it may be the first of it: more is
	// asked for, until there is none. It may take its time.
	Missed func(room string, after, until uint64) []Publication[M]
}

// A Publication is what is published to a room.
type Publication[M comparable] struct {
	Position cluster.Position
	// Begin, if set, is called when the publication has got its place in the
	// order of the room, before anybody gets it. It returns its ID, and must
	// neither block nor call the table.
	Begin func() cluster.ID
	// Deliver gives it to a member, and must not block. A late publication has
	// an ID from before the member was ready for it.
	Deliver func(m M, late bool)
}

// Numbered returns a publication that stands at an offset of its room, 0 if it
// is not numbered.
func Numbered[M comparable](offset uint64, deliver func(M)) Publication[M] {
	return Publication[M]{Position: cluster.Position{Offset: offset}, Deliver: func(m M, _ bool) { deliver(m) }}
}

// A Table holds the rooms whose members are of type M.
type Table[M comparable] struct {
	opts  Options[M]
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
func New[M comparable](opts Options[M]) *Table[M] {
	if opts.Now == nil {
		opts.Now = func() cluster.ID { return cluster.ID{} }
	}
	return &Table[M]{
		opts:  opts,
		rooms: make(map[string]*room[M]),
		seats: make(map[M][]*seat[M]),
		index: make(map[M]map[string]*seat[M]),
	}
}

// A room is guarded by the table's mutex, except for publishing.
type room[M comparable] struct {
	name       string
	publishing sync.Mutex // held while a publication reaches the members
	sequence   sequence[M]
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
		if t.opts.Entered != nil {
			t.opts.Entered(name)
		}
	}
	r.own()
	s := &seat[M]{member: m, room: r, since: fromNow, from: t.opts.Now(), inRoom: len(r.seats), inOwn: len(t.seats[m])}
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
		r.own()
		r.seats = nil // of a publication that is being fetched
		delete(t.rooms, r.name)
		if t.opts.Vacated != nil {
			t.opts.Vacated(r.name)
		}
		return
	}
	r.own()
	last := r.seats[len(r.seats)-1]
	r.seats[s.inRoom], last.inRoom = last, s.inRoom
	r.seats[len(r.seats)-1] = nil
	r.seats = r.seats[:len(r.seats)-1]
}

// begin gives a publication its place, and returns who is there to get it: who
// comes later finds that it has begun. It does nothing, and reports so, when
// the room has been vacated: there may be another one by its name.
func (t *Table[M]) begin(r *room[M], p Publication[M]) (begun publication[M], seats []*seat[M], ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rooms[r.name] != r {
		return publication[M]{}, nil, false
	}
	r.shared = true
	return p.begin(), r.seats, true
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

// Names returns the names of all rooms.
func (t *Table[M]) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Collect(maps.Keys(t.rooms))
}

// Len returns the number of rooms.
func (t *Table[M]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.rooms)
}
