package socketio

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
)

// A trail is what a client was sent, as far as it may not have got it: with it
// a client that comes back is brought to where it would be. What many get is
// kept once for all (recent.go); the trail has what went to this client alone,
// or in another order than to others.
//
// Every event carries a stamp, an ID that ascends from one event to the next.
type trail struct {
	mu sync.Mutex
	on bool // the client may come back

	begun cluster.ID // who has no stamp has nothing after this
	last  cluster.ID // of the latest event
	first cluster.ID // everything after it is known
	// covered are the broadcasts that the client has, or gets by another way:
	// those up to this.
	covered cluster.ID
	// gated keeps broadcasts back: they are being brought to the client.
	gated bool
	// held is what the client gets alone meanwhile, without stamps: it comes
	// after them.
	held []own
	// left is the latest event before it left a room: what it lacks of that
	// is told to nobody any more.
	left cluster.ID
	away bool // it is in no rooms: what is published overtakes it
	// local is the latest broadcast whose ID only this process knows, and
	// offsets the latest such of each room: others know them by other IDs.
	local   cluster.ID
	offsets map[string]uint64
	own     []own
	size    int
	saved   bool // somebody has taken over
}

// own is an event that only one client got, or not where others did.
type own struct {
	ID cluster.ID `json:"id"`
	// Instead is the ID of the broadcast that it is.
	Instead     cluster.ID `json:"instead,omitzero"`
	Packet      []byte     `json:"packet"` // with its stamp
	Attachments [][]byte   `json:"attachments,omitempty"`
	at          time.Time
}

func (o own) bytes() int {
	n := 96 + len(o.Packet)
	for _, a := range o.Attachments {
		n += len(a)
	}
	return n
}

// What is kept for each client. Beyond it the oldest is dropped, and a client
// that lacks it begins anew.
const (
	maxOwn      = 4096
	maxOwnBytes = 512 << 10
	maxHeld     = 64
)

// start begins a trail for a client that has got nothing after an ID.
func (t *trail) start(at cluster.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on, t.begun, t.last, t.first, t.covered = true, at, at, at, at
}

// leave notes that the client has left a room.
func (t *trail) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = t.last
}

// depart notes that it has left all of them, to come back.
func (t *trail) depart() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away = true
}

// stop ends it: the client may not come back.
func (t *trail) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.on, t.own, t.held, t.size = false, nil, nil, 0
}

// goesOn reports whether the client may come back.
func (t *trail) goesOn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.on
}

// keep notes an event that the client gets alone. The mutex is held.
func (t *trail) keep(o own) {
	t.last = o.ID
	t.own = append(t.own, o)
	t.size += o.bytes()
	for len(t.own) > maxOwn || t.size > maxOwnBytes && len(t.own) > 1 {
		t.dropLocked()
	}
}

func (t *trail) dropLocked() {
	t.first = t.own[0].ID
	t.size -= t.own[0].bytes()
	t.own[0] = own{}
	t.own = t.own[1:]
}

// confirm drops what the client has got for certain: what was sent before a
// time.
func (t *trail) confirm(before time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.saved && len(t.own) > 0 && t.own[0].at.Before(before) {
		t.dropLocked()
	}
	if len(t.own) == 0 {
		t.own = nil
	}
}

// emit sends an event to this client alone.
func (s *Session) emit(event string, args []json.RawMessage, attachments [][]byte) error {
	s.count()
	s.emitted.Add(1)
	packet := appendEvent(nil, s.namespace, event, args, len(attachments))
	ended := s.is(stateEnded) // its mutex is never taken under that of the trail
	t := &s.trail
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.saved, !t.on && ended:
		return errEnded
	case t.on && t.gated && len(t.held) == maxHeld:
		t.on = false // it begins anew
		s.link.conn.Close(engineio.ReasonSlow)
	case t.on && t.gated:
		t.held = append(t.held, own{Packet: packet, Attachments: attachments})
	case t.on:
		s.aloneLocked(own{Packet: packet, Attachments: attachments})
	default:
		s.send(nil, packet, attachments)
	}
	return nil
}

// aloneLocked sends what only this client gets, with a stamp. Nobody gets it
// if the connection is gone.
func (s *Session) aloneLocked(o own) {
	t := &s.trail
	last := t.last
	if t.away {
		last = later(last, s.space.recent.now())
	}
	o.ID, o.at = s.space.recent.after(last), time.Now()
	o.Packet = stamp(o.Packet, o.ID)
	t.keep(o)
	s.send(nil, o.Packet, o.Attachments)
}

// releaseHeldLocked sends what was held.
func (s *Session) releaseHeldLocked() {
	held := s.trail.held
	s.trail.held = nil
	for _, o := range held {
		s.aloneLocked(o)
	}
}

// count counts an event that is sent.
func (s *Session) count() {
	if !s.internal {
		s.space.srv.delivered.Add(1)
	}
}

// deliver sends a broadcast.
func (s *Session) deliver(b *broadcast, late bool) {
	s.count()
	t := &s.trail
	if !s.recoverable {
		s.link.conn.Send(b.frame(false))
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.on:
		s.link.conn.Send(b.frame(true))
	case t.gated, t.saved, b.id.Compare(t.covered) <= 0:
	case late || b.id.Compare(t.last) <= 0:
		s.deliverLocked(b)
	default:
		t.sentLocked(b)
		s.link.conn.Send(b.frame(true))
	}
}

// sentLocked notes that the client is sent a broadcast in its place.
func (t *trail) sentLocked(b *broadcast) {
	t.last = later(b.id, t.last)
	if b.id.Sub == 0 {
		return
	}
	t.local = b.id
	if b.position.Offset > 0 {
		if t.offsets == nil {
			t.offsets = make(map[string]uint64)
		}
		t.offsets[b.room] = b.position.Offset
	}
}

// deliverLocked sends a broadcast that is not in its place: the client gets it
// with a stamp of its own.
func (s *Session) deliverLocked(b *broadcast) {
	s.aloneLocked(own{Instead: b.id, Packet: b.packet, Attachments: b.attachments})
}

// deliverVolatile sends a broadcast that the client can do without.
func (s *Session) deliverVolatile(b *broadcast) {
	s.count()
	s.link.conn.SendVolatile(b.frame(false))
}

// instead returns the broadcasts that own events stand for.
func instead(events []own) map[cluster.ID]bool {
	ids := make(map[cluster.ID]bool)
	for _, o := range events {
		if !o.Instead.IsZero() {
			ids[o.Instead] = true
		}
	}
	return ids
}

// after returns the own events after an ID.
func ownAfter(events []own, id cluster.ID) []own {
	i := slices.IndexFunc(events, func(o own) bool { return o.ID.Compare(id) > 0 })
	if i < 0 {
		return nil
	}
	return events[i:]
}
