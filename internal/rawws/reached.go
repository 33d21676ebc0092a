package rawws

import (
	"slices"
	"sync"
)

// reached is how far a client was brought in its rooms, and which of that it
// has confirmed. The zero value is ready; methods may be called concurrently.
type reached struct {
	mu    sync.Mutex
	mark  uint64
	sends []sent // that are not confirmed, in order
	rooms map[string]place
}

// place is how far a client was brought in a room.
type place struct {
	sent uint64 // the greatest offset that it was sent
	got  uint64 // the greatest that it has, as far as is known
}

type sent struct {
	mark   uint64
	room   string
	offset uint64
}

// maxUnconfirmed bounds what is kept for clients that confirm nothing.
const maxUnconfirmed = 1024

// arrived notes that the client has all of a room up to an offset.
func (r *reached) arrived(room string, offset uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moveLocked(room, offset, offset)
}

func (r *reached) moveLocked(room string, sent, got uint64) {
	if r.rooms == nil {
		r.rooms = make(map[string]place)
	}
	was := r.rooms[room]
	r.rooms[room] = place{max(was.sent, sent), max(was.got, got)}
}

// sent notes that the message of an offset was sent, and returns the mark to
// confirm that by.
func (r *reached) sent(room string, offset uint64) (mark uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moveLocked(room, offset, 0)
	r.mark++
	if len(r.sends) >= maxUnconfirmed {
		r.sends = r.sends[1:] // a later one of the room does instead
	}
	r.sends = append(r.sends, sent{r.mark, room, offset})
	return r.mark
}

// in returns how far the client was brought in a room; been is false if it never
// was there.
func (r *reached) in(room string) (p place, been bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, been = r.rooms[room]
	return p, been
}

// forget drops a room that is gone.
func (r *reached) forget(room string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rooms, room)
	r.sends = slices.DeleteFunc(r.sends, func(s sent) bool { return s.room == room })
}

// confirmed returns what a mark newly confirms: the greatest offset of each
// room.
func (r *reached) confirmed(mark uint64) map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	rooms := make(map[string]uint64)
	for len(r.sends) > 0 && r.sends[0].mark <= mark {
		s := r.sends[0]
		rooms[s.room] = max(rooms[s.room], s.offset)
		r.moveLocked(s.room, 0, s.offset)
		r.sends = r.sends[1:]
	}
	if len(r.sends) == 0 {
		r.sends = nil
	}
	return rooms
}
