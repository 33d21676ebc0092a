package rawws

import (
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// A Session is a client in the namespace.
type Session struct {
	conn     *Conn
	id       string
	identity atomic.Pointer[auth.Identity]
	guest    *socketio.Guest
}

var (
	_ namespaces.Session = (*Session)(nil)
	_ identity.Session   = (*Session)(nil)
)

func newSession(c *Conn, id *auth.Identity) (*Session, error) {
	s := &Session{conn: c, id: uuid.NewString()}
	s.identity.Store(id)
	var err error
	s.guest, err = c.srv.opts.Guest(func(d socketio.Delivery) {
		c.hear(Notice{Room: d.Room, Event: d.Event, Payload: d.Payload, Offset: d.At.Offset, delivery: &d})
	})
	return s, err
}

// ID implements [namespaces.Session].
func (s *Session) ID() string { return s.id }

// Identity implements [namespaces.Session].
func (s *Session) Identity() *auth.Identity { return s.identity.Load() }

// Address implements [identity.Session].
func (s *Session) Address() string { return s.conn.address }

// Emit implements [namespaces.Session].
func (s *Session) Emit(p events.Payload) error {
	payload, err := events.Encode(p)
	if err != nil {
		s.conn.log().Error("event was not emitted", "event", p.EventName(), "error", err)
		return err
	}
	n := Notice{Event: p.EventName(), Payload: payload}
	if numbered, ok := p.(events.Numbered); ok {
		n.Offset = numbered.Offset
	}
	s.conn.hear(n)
	return nil
}

// Drain implements [namespaces.Session].
func (s *Session) Drain(ctx context.Context) error { return s.conn.ws.Drain(ctx) }

// Join implements [namespaces.Session].
func (s *Session) Join(room events.Room) { s.guest.Join(room) }

// Follow implements [namespaces.Session].
func (s *Session) Follow(room events.Room, since uint64, snapshot func(after uint64) (uint64, error)) error {
	return s.guest.Follow(room, since, snapshot)
}

// Leave implements [namespaces.Session].
func (s *Session) Leave(room events.Room) { s.guest.Leave(room) }

// Quit leaves a room as if the session might not be there any more: nobody keeps
// what it has of the room.
func (s *Session) Quit(room events.Room) {
	s.guest.Leave(room)
	if left := s.conn.srv.opts.Namespace.Left; left != nil {
		left(s, room)
	}
}

// Rooms implements [identity.Session].
func (s *Session) Rooms() []events.Room { return s.guest.Rooms() }

// Renew implements [identity.Session].
func (s *Session) Renew(id *auth.Identity) { s.identity.Store(id) }

// Disconnect implements [identity.Session]: the end of a credential is that of
// its connection.
func (s *Session) Disconnect() { s.conn.End(statusAuth, "your credential has ended") }

// end takes the session out of the namespace.
func (s *Session) end() {
	s.guest.Close()
	if closed := s.conn.srv.opts.Namespace.Closed; closed != nil {
		closed(s)
	}
}

// Do has an event handled as if a Socket.IO client had emitted it, and decodes
// the acknowledgement into out, unless that is nil. It is for Receive.
func (s *Session) Do(ctx context.Context, event string, in, out any) *events.Error {
	arg, err := encode(in)
	if err != nil {
		return events.FieldErrorf("payload", "%v", err)
	}
	reply := s.conn.srv.opts.Dispatcher.Dispatch(ctx, s, event, []json.RawMessage{arg}, true)
	var ack struct {
		OK    bool          `json:"ok"`
		Error *events.Error `json:"error"`
	}
	switch err := json.Unmarshal(reply, &ack); {
	case err != nil:
		return events.Errorf(events.CodeInternal, "the server's own answer could not be read")
	case !ack.OK && ack.Error != nil:
		return ack.Error
	case out != nil:
		json.Unmarshal(reply, out) // of our own making
	}
	return nil
}
