package socketio

import (
	"slices"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// admitFrom is admit for credentials that know which address they came from:
// failures are counted by it.
func (sp *space) admitFrom(sock *socket.Socket, next func(*socket.ExtendedError)) {
	l := sock.Conn().(*libConn).link
	l.mu.Lock()
	s := l.settling
	l.mu.Unlock()
	if s != nil {
		sent := l.credential
		if !s.credential.IsZero() {
			sent = s.credential
		}
		s.credential = sent.From(l.conn.RemoteIP())
	}
	sp.admit(sock, next)
}

// Address returns the address of the client.
func (s *Session) Address() string { return s.link.conn.RemoteIP() }

// Rooms returns the rooms that the session is in.
func (s *Session) Rooms() []events.Room {
	names := s.space.rooms.Rooms(s)
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
	s.link.conn.Reply(nil, appendDisconnect(nil, s.namespace))
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
	s.space.rooms.LeaveAll(s)
	s.finish()
}

// release makes a namespace enterable again and reports whether s was in it.
func (l *link) release(s *Session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.sessions, s)
	if i < 0 || l.over {
		return false
	}
	l.sessions = slices.Delete(l.sessions, i, i+1)
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

// appendDisconnect appends a DISCONNECT packet (Socket.IO protocol, section
// "Disconnection from a namespace").
func appendDisconnect(b []byte, namespace string) []byte {
	b = append(b, byte(typeDisconnect))
	if namespace == "/" {
		return b
	}
	return append(append(b, namespace...), ',')
}
