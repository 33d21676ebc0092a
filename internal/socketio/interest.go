package socketio

import "sync"

// interest is which rooms of a namespace this server wants to hear of: those
// that somebody is in, and those that somebody may come back to. Buses that
// carry rooms on channels of their own are told.
type interest struct {
	enter, exit func(room string)

	mu    sync.Mutex
	rooms map[string]int // how many reasons there are
}

func newInterest(enter, exit func(room string)) *interest {
	return &interest{enter: enter, exit: exit, rooms: make(map[string]int)}
}

// hold adds a reason to hear of a room. The bus is told under the mutex, so
// that it hears things in their order.
func (i *interest) hold(room string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rooms[room]++
	if i.rooms[room] == 1 {
		i.enter(room)
	}
}

// release takes back one hold.
func (i *interest) release(room string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rooms[room]--
	if i.rooms[room] == 0 {
		delete(i.rooms, room)
		i.exit(room)
	}
}

// holdAll and releaseAll do so for rooms that a session was in. They do
// nothing for a namespace that no bus carries.
func (i *interest) holdAll(names []string) {
	if i == nil {
		return
	}
	for _, name := range names {
		i.hold(name)
	}
}

func (i *interest) releaseAll(names []string) {
	if i == nil {
		return
	}
	for _, name := range names {
		i.release(name)
	}
}
