package socketio

import (
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// Address returns the address of the client.
func (s *Session) Address() string { return s.link.conn.RemoteIP() }

// Rooms returns the rooms that the session is in.
func (s *Session) Rooms() []events.Room { return roomNames(s.space.rooms.Rooms(s)) }

func roomNames(names []string) []events.Room {
	rooms := make([]events.Room, len(names))
	for i, name := range names {
		rooms[i] = events.Room(name)
	}
	return rooms
}

// Renew gives the session another identity. Handlers that run keep the one
// that they have asked for.
func (s *Session) Renew(id *auth.Identity) { s.identity.Store(id) }

// Disconnect takes the session out of its namespace, after what was emitted to
// it. Its connection stays, and may enter the namespace again.
func (s *Session) Disconnect() {
	if !s.link.release(s) {
		return // it is leaving by itself
	}
	// Before the library, which may be busy with another namespace for as long
	// as its client likes: nothing is heard or done here any more.
	s.expel()
	s.link.conn.Reply(nil, appendHeader(nil, typeDisconnect, 0, s.namespace, false, 0))
	// The rest is what happens when the client leaves, which the library does
	// not tell it about.
	s.link.control(control{session: s})
}

// expel is end for a session that has lost its right to be here: what its
// client has sent is no longer handled.
func (s *Session) expel() {
	s.mu.Lock()
	if s.state != stateEnded {
		s.setLocked(stateEnded)
	}
	s.parts, s.queue, s.queued = nil, nil, 0
	s.releaseLocked()
	s.mu.Unlock()
	s.trail.stop()
	s.space.rooms.LeaveAll(s)
	s.finish()
}

// release is forget for a session that the server ends.
func (l *link) release(s *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || !l.forgetLocked(s) {
		return false
	}
	if !slices.Contains(l.left, s.namespace) {
		l.left = append(l.left, s.namespace)
	}
	return true
}

// wasEnded reports whether the server has ended the session in a namespace: its
// client may have said something before it could know.
func (l *link) wasEnded(namespace []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Contains(l.left, string(namespace))
}
