package namespaces

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// A Namespace is a set of events that belong together.
type Namespace struct {
	// Name begins with a slash.
	Name string
	// Admit decides whether a verified user may enter; nil admits everyone.
	// The error, an *events.Error, is for the client.
	Admit func(id *auth.Identity) error
	// MayStay decides whether a user may be in a room, when the identity of a
	// session has changed; nil lets nobody be in any.
	MayStay func(ctx context.Context, id *auth.Identity, room events.Room) (bool, error)
	// Left is called when a session had to leave a room.
	Left func(s Session, room events.Room)
	// Routes are the events that clients may emit.
	Routes []Route
	// Opened is called when a session begins, before any of its events.
	Opened func(ctx context.Context, s Session)
	// Closed is called when a session has ended, after all of its events.
	Closed func(s Session)
	// Save returns what the namespace keeps about a session, as JSON, when its
	// client has lost the connection and may come back; Restore takes it up for
	// the session that goes on, when that is in its rooms again and has what it
	// missed. Without Restore a client that comes back begins anew.
	Save    func(s Session) json.RawMessage
	Restore func(ctx context.Context, s Session, state json.RawMessage)
	// Local namespaces are of one server: what is published in them does not
	// reach the others.
	Local bool
}

// ErrEnded is returned by sessions that have ended. Nobody hears what a handler
// answers then.
var ErrEnded = errors.New("session has ended")

// A Session is one client in one namespace. Its methods may be called
// concurrently, and after the session has ended, when they do nothing.
type Session interface {
	// ID is public: other users may see it.
	ID() string
	Identity() *auth.Identity
	// Emit sends an event to this client alone, after everything emitted or
	// published to it before. It never blocks.
	Emit(p events.Payload) error
	// Drain blocks until the client has taken what was sent to it so far. It
	// fails when ctx ends or the session has ended.
	Drain(ctx context.Context) error
	// Join adds the session to a room. Joining twice is joining once.
	Join(room events.Room)
	// Follow joins a room whose messages are numbered and sees to it that the
	// client gets everything after offset since. snapshot emits what there is
	// beyond after and returns the offset it got to; what is published
	// meanwhile waits, and is left out up to that offset. A session that has
	// everything after since already is left alone; one that was in the room
	// has what was published since it came, and snapshot may leave that out.
	// If snapshot fails the session is in the room only if it was before.
	Follow(room events.Room, since uint64, snapshot func(after uint64) (through uint64, err error)) error
	// Leave removes the session from a room.
	Leave(room events.Room)
}
