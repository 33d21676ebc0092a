package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// A member is who is in the rooms of a namespace: a [Session], or a [Guest].
type member interface {
	deliver(b *broadcast, late bool)
	deliverVolatile(b *broadcast)
}

// A Guest is in rooms of a namespace without speaking Socket.IO: it gets what
// is published there as it is, in the order of the room. It does not get what
// is published to a whole namespace or to single sessions, cannot be chosen by
// an [Operator], and does not come back once it is closed. Its methods may be
// called concurrently, and after Close, when they do nothing.
type Guest struct {
	space   *space
	receive func(Delivery)

	mu     sync.Mutex
	closed bool
}

// A Delivery is what a guest gets.
type Delivery struct {
	// Room is where it was published, "" if in several.
	Room    events.Room
	Event   string
	Payload json.RawMessage
	At      cluster.Position

	b *broadcast
}

// Once returns what render makes of the delivery. Guests that give the same
// key share it: it is made once for all of them, and must not be changed.
func (d Delivery) Once(key any, render func() []byte) []byte {
	h := d.b.heard.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	made, ok := h.rendered[key]
	if !ok {
		made = render()
		if h.rendered == nil {
			h.rendered = make(map[any][]byte)
		}
		h.rendered[key] = made
	}
	return made
}

// Guest lets a client of another protocol into rooms of a namespace. receive is
// called with one delivery of a room after the other; it must not block, and
// not call the guest.
func (s *Server) Guest(namespace string, receive func(Delivery)) (*Guest, error) {
	sp := s.spaces[namespace]
	if sp == nil {
		return nil, fmt.Errorf("being a guest of %s: no such namespace", namespace)
	}
	return &Guest{space: sp, receive: receive}, nil
}

// Join adds the guest to a room. Joining twice is joining once.
func (g *Guest) Join(room events.Room) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.space.rooms.Join(string(room), g)
	}
}

// Follow is that of [namespaces.Session].
func (g *Guest) Follow(room events.Room, since uint64, snapshot func(after uint64) (uint64, error)) error {
	err := g.space.rooms.Follow(string(room), g, since, snapshot)
	g.mu.Lock()
	closed := g.closed
	g.mu.Unlock()
	if closed {
		g.space.rooms.LeaveAll(g)
		return errEnded
	}
	return err
}

// Leave removes the guest from a room.
func (g *Guest) Leave(room events.Room) { g.space.rooms.Leave(string(room), g) }

// Rooms returns the rooms that the guest is in.
func (g *Guest) Rooms() []events.Room { return roomNames(g.space.rooms.Rooms(g)) }

// Close takes the guest out of all rooms.
func (g *Guest) Close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.space.rooms.LeaveAll(g)
}

func (g *Guest) deliver(b *broadcast, _ bool) {
	g.space.srv.delivered.Add(1)
	h := b.hear()
	g.receive(Delivery{Room: events.Room(b.room), Event: h.event, Payload: h.payload, At: b.position, b: b})
}

func (g *Guest) deliverVolatile(b *broadcast) { g.deliver(b, false) }

// heard is a broadcast as guests get it.
type heard struct {
	event   string
	payload json.RawMessage // "null" if there is none

	mu       sync.Mutex
	rendered map[any][]byte
}

// hear takes a broadcast apart, once for all guests.
func (b *broadcast) hear() *heard {
	if h := b.heard.Load(); h != nil {
		return h
	}
	h := &heard{payload: json.RawMessage("null")}
	var args []json.RawMessage
	if at := bytes.IndexByte(b.packet, '['); at >= 0 {
		json.Unmarshal(b.packet[at:], &args) // it was made here, or parsed
	}
	if len(args) > 0 {
		json.Unmarshal(args[0], &h.event)
	}
	if len(args) > 1 {
		h.payload = args[1]
	}
	if !b.heard.CompareAndSwap(nil, h) {
		return b.heard.Load()
	}
	return h
}
