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
	rooms map[string]uint64
}

type sent struct {
	mark   uint64
	room   string
	offset uint64
}

// maxUnconfirmed bounds what is kept for clients that confirm nothing.
const maxUnconfirmed = 1024

// sent notes that the message of an offset was sent, and returns the mark to
// confirm that by.
func (r *reached) sent(room string, offset uint64) (mark uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rooms == nil {
		r.rooms = make(map[string]uint64)
	}
	r.rooms[room] = max(r.rooms[room], offset)
	r.mark++
	if len(r.sends) >= maxUnconfirmed {
		r.sends = r.sends[1:] // a later one of the room does instead
	}
	r.sends = append(r.sends, sent{r.mark, room, offset})
	return r.mark
}

// upTo returns the greatest offset that was sent of a room, 0 if none was.
func (r *reached) upTo(room string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rooms[room]
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
		rooms[r.sends[0].room] = max(rooms[r.sends[0].room], r.sends[0].offset)
		r.sends = r.sends[1:]
	}
	if len(r.sends) == 0 {
		r.sends = nil
	}
	return rooms
}
