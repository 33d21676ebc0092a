package root

import (
	"math"
	"sync"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/namespaces"
)

// followed keeps from where on sessions have what rooms published. A session
// that asks again, for something earlier, gets what it has not got, and
// nothing twice.
//
// The events of a session are handled one at a time, so what is kept of one is
// not changed concurrently; the mutex is for the map.
type followed struct {
	mu   sync.Mutex
	from map[namespaces.Session]map[events.Room]uint64
}

func newFollowed() *followed {
	return &followed{from: make(map[namespaces.Session]map[events.Room]uint64)}
}

// follow puts a session into a room and sees to it that it has all that was
// published after since. read emits what was published after after, up to
// until, and returns the offset it got to. follow returns an offset up to which
// the session has everything.
func (f *followed) follow(s namespaces.Session, room events.Room, since uint64, read func(after, until uint64) (uint64, error)) (through uint64, err error) {
	from, in := f.find(s, room)
	through = since
	if in {
		through = min(from, since)
	}
	err = s.Follow(room, since, func(after uint64) (uint64, error) {
		until := uint64(math.MaxUint64)
		if in && after < from {
			until = from
		}
		got, err := read(after, until)
		got = min(got, until)
		through = max(through, got)
		return got, err
	})
	switch {
	case err == nil && in:
		f.set(s, room, min(from, since))
	case err == nil:
		f.set(s, room, since)
	case in: // nobody knows what the client has got: all comes again
		f.set(s, room, math.MaxUint64)
	}
	return through, err
}

func (f *followed) find(s namespaces.Session, room events.Room) (from uint64, in bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, in = f.from[s][room]
	return from, in
}

// full reports whether a session is in as many rooms as it may be, and not in
// this one.
func (f *followed) full(s namespaces.Session, room events.Room) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, in := f.from[s][room]
	return !in && len(f.from[s]) >= maxRooms
}

func (f *followed) set(s namespaces.Session, room events.Room, from uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from[s] == nil {
		f.from[s] = make(map[events.Room]uint64)
	}
	f.from[s][room] = from
}

// drop notes that a session is not in a room any more.
func (f *followed) drop(s namespaces.Session, room events.Room) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.from[s], room)
	if len(f.from[s]) == 0 {
		delete(f.from, s)
	}
}

// forget drops a session that has ended.
func (f *followed) forget(s namespaces.Session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.from, s)
}

// A resumption is what a client is told when it joins a room whose
// publications are numbered.
type resumption struct {
	Recovered bool   `json:"recovered"` // all after its since has come
	Epoch     string `json:"epoch"`
	Offset    uint64 `json:"offset"` // for the next since, unless a greater one has come
}

// resume tells of a session that got from since up to through.
func resume(epoch string, since *events.Since, gap bool, through uint64) resumption {
	return resumption{Recovered: since != nil && !gap, Epoch: epoch, Offset: through}
}
