package rawws

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/socketio"
)

// A Dialect is one of the documented protocols.
type Dialect struct {
	Name Name
	// Speak returns what speaks it with one client.
	Speak func(c *Conn) Speaker
	// Auth is how clients say who they are.
	Auth Auth
	// Presence tells that clients see who is there: one that has not answered a
	// ping by the time of the next one is not.
	Presence bool
}

// Auth is how clients of a dialect say who they are.
type Auth int

// The ways.
const (
	// AuthFirst is with the handshake, or else with a frame, in time.
	AuthFirst Auth = iota
	// AuthHandshake is with the handshake: who says nothing, or something wrong,
	// is let in to be told, and shown out.
	AuthHandshake
	// AuthRefuse is with the handshake, which is refused otherwise where the path
	// says which dialect is spoken.
	AuthRefuse
	// AuthNever is with every frame, or not at all: that is up to the dialect.
	AuthNever
)

// A Speaker speaks a dialect with one client. Receive and Entered are called one
// at a time; the others at any time.
type Speaker interface {
	// Entered is called when it is known who the client is, and it has a session.
	Entered(ctx context.Context)
	// Receive handles a frame.
	Receive(ctx context.Context, f frame)
	// Hear tells the client what was said to its session or published in one of
	// its rooms, as far as the dialect has words for it. It must not block.
	Hear(n Notice)
	// Refuse tells the client what was wrong, about a frame or, if that has no
	// fields, in general.
	Refuse(f frame, e *events.Error)
	// Left is called when the connection has ended, or another dialect turned
	// out to be spoken.
	Left()
}

// An aliveSpeaker wants to know that its client has received what it was sent:
// Alive is called like Receive, when the client has answered a ping that
// [Conn.Ask] has sent with the mark.
type aliveSpeaker interface {
	Alive(ctx context.Context, mark uint64)
}

// A Notice is something that the server said.
type Notice struct {
	// Room is where it was published, "" if it is for this session alone.
	Room    events.Room
	Event   string
	Payload json.RawMessage
	Offset  uint64 // 0 if it has none

	delivery *socketio.Delivery // nil if it is for this session alone
}

// Frame returns the WebSocket frame that render makes of a notice, nil if that
// is nothing. Sessions that give the same key share it.
func (n Notice) Frame(key any, render func() []byte) []byte {
	framed := func() []byte {
		text := render()
		if text == nil {
			return nil
		}
		return textFrame(text)
	}
	if n.delivery == nil {
		return framed()
	}
	return n.delivery.Once(key, framed)
}

// of reports whether it was published in a room of a kind: back ends may publish
// anything anywhere.
func (n Notice) of(kind string) bool { return strings.HasPrefix(string(n.Room), kind) }

// decode reads the payload of a notice, which the server made.
func decode[T any](n Notice) (v T) {
	json.Unmarshal(n.Payload, &v)
	return v
}
