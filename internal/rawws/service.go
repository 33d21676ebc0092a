package rawws

import (
	"context"
	"encoding/json"
	"time"

	"github.com/roomcast/roomcast/events"
)

// NewService returns the dialect service.
func NewService() Dialect {
	return Dialect{Name: Service, Auth: AuthHandshake, Speak: func(c *Conn) Speaker { return &service{conn: c} }}
}

// service speaks the dialect service: {"type", "data"} both ways, and a
// timestamp in what the server says.
type service struct{ conn *Conn }

// serviceFrame is what the server says.
type serviceFrame struct {
	Type      string `json:"type"`
	Data      any    `json:"data"`
	Timestamp string `json:"timestamp"`
}

func (s *service) say(kind string, data any) {
	s.conn.SendJSON(serviceFrame{kind, data, clock(time.Now())})
}

// Entered implements [Speaker]. What is for the user comes unasked; who is in no
// tenant has nothing to hear.
func (s *service) Entered(ctx context.Context) { s.conn.Session().JoinUser(ctx) }

// Left implements [Speaker].
func (s *service) Left() {}

// Receive implements [Speaker].
func (s *service) Receive(ctx context.Context, f frame) {
	switch f.kind {
	case "ping":
		s.say("pong", struct{}{})
	case "subscribe", "unsubscribe":
		s.subscription(ctx, f)
	default:
		s.Refuse(f, events.FieldErrorf("type", "%q is unknown", f.kind))
	}
}

func (s *service) subscription(ctx context.Context, f frame) {
	data, _ := f.object("data")
	channel, _ := textOf(data["channel"])
	event, done := "join_room", "subscribed"
	if f.kind == "unsubscribe" {
		event, done = "leave_room", "unsubscribed"
	}
	if err := s.conn.Session().Do(ctx, event, channel, nil); err != nil {
		s.refuse("subscription_failed", err)
		return
	}
	s.say(done, map[string]string{"channel": channel})
}

// Hear implements [Speaker].
func (s *service) Hear(n Notice) {
	s.conn.SendFrame(n.Frame(Service, func() []byte {
		text, _ := encode(serviceFrame{n.Event, json.RawMessage(n.Payload), clock(time.Now())})
		return text
	}))
}

// Refuse implements [Speaker].
func (s *service) Refuse(_ frame, e *events.Error) {
	code := "invalid_request"
	switch {
	case isAuth(e.Code):
		code = "unauthorized"
	case e.Code == events.CodeInternal:
		code = "internal_error"
	case e.Code == events.CodeRateLimited:
		code = "rate_limited"
	}
	s.refuse(code, e)
}

func (s *service) refuse(code string, e *events.Error) {
	s.say("error", map[string]string{"code": code, "message": e.Message})
}
