package redis

import (
	"maps"
	"slices"
	"sync"
)

// rooms are the rooms with channels of their own that have members here.
type rooms struct {
	// wake has an element when there are changes.
	wake chan struct{}

	mu      sync.Mutex
	wanted  map[string]room     // by channel
	changed map[string]struct{} // channels that were wanted or not, last time
}

type room struct {
	channel         channel
	namespace, name string
}

func (r *rooms) init() {
	r.wake = make(chan struct{}, 1)
	r.wanted, r.changed = make(map[string]room), make(map[string]struct{})
}

func (r *rooms) want(c channel, namespace, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted[c.name] = room{c, namespace, name}
	r.touch(c.name)
}

func (r *rooms) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.wanted, name)
	r.touch(name)
}

func (r *rooms) touch(name string) {
	r.changed[name] = struct{}{}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// all returns every room and forgets the changes.
func (r *rooms) all() []room {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.changed)
	return slices.Collect(maps.Values(r.wanted))
}

// changes returns the channels that changed, and which of them are wanted.
func (r *rooms) changes() map[string]*room {
	r.mu.Lock()
	defer r.mu.Unlock()
	changes := make(map[string]*room, len(r.changed))
	for name := range r.changed {
		changes[name] = nil
		if room, ok := r.wanted[name]; ok {
			changes[name] = &room
		}
	}
	clear(r.changed)
	return changes
}

// get returns a room by its channel.
func (r *rooms) get(channel string) (room, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	room, ok := r.wanted[channel]
	return room, ok
}
