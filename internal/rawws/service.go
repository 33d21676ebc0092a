package rawws

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/websocket"
)

// ServiceOptions configure the dialect service.
type ServiceOptions struct {
	Conversations Conversations
	// Acks has subscribing and unsubscribing confirmed.
	Acks bool
}

// NewService returns the dialect service.
func NewService(opts ServiceOptions) Dialect {
	return Dialect{Name: Service, Auth: AuthHandshake, Speak: func(c *Conn) Speaker {
		return &service{conn: c, opts: opts, runs: make(map[string]bool)}
	}}
}

// service speaks the dialect service: {"type", "data"} both ways, and a
// timestamp in what the server says. What clients hear they ask for by channels,
// but what is for the user comes unasked.
type service struct {
	conn *Conn
	opts ServiceOptions
	in   named // conversations

	mu    sync.Mutex
	runs  map[string]bool // that the client is subscribed to
	heard recent
}

// serviceFrame is what the server says.
type serviceFrame struct {
	Type      string `json:"type"`
	Data      any    `json:"data"`
	Timestamp string `json:"timestamp"`
}

func (s *service) say(kind string, data any) {
	s.conn.SendJSON(serviceFrame{kind, data, clock(time.Now())})
}

// Entered implements [Speaker]. What is for the user comes unasked, and what is
// for all. Who is in no tenant has nothing to hear; who names one that is not
// the user's in the address is shown out, as nothing could be had there.
func (s *service) Entered(ctx context.Context) {
	session := s.conn.Session()
	err := session.JoinUser(ctx)
	if err == nil {
		err = session.JoinInTenants(ctx, events.TenantRoom)
	}
	switch {
	case err == nil, err.Code == events.CodePermissionDenied:
	case err.Code == events.CodeNotFound:
		s.Refuse(frame{}, &events.Error{Code: events.CodePermissionDenied, Message: err.Message})
		s.conn.End(statusForbidden, "the tenant in the address is not the user's")
	default:
		s.Refuse(frame{}, err)
	}
}

// statusForbidden closes a connection on which its client may do nothing.
const statusForbidden websocket.Status = 4403

// Left implements [Speaker].
func (s *service) Left() {}

// Receive implements [Speaker].
func (s *service) Receive(ctx context.Context, f frame) {
	if err := s.act(ctx, f); err != nil {
		s.Refuse(f, err)
	}
}

func (s *service) act(ctx context.Context, f frame) *events.Error {
	switch f.kind {
	case "ping":
		s.say("pong", struct{}{})
		return nil
	case "subscribe", "unsubscribe":
		return s.subscription(ctx, f)
	case "chat_message":
		return s.chat(ctx, f)
	}
	switch {
	case f.fields == nil:
		return events.Errorf(events.CodeValidation, "what was sent is not a JSON object")
	case f.kind == "":
		return events.FieldErrorf("type", "is missing")
	}
	return events.FieldErrorf("type", "%q is unknown: use subscribe, unsubscribe, chat_message or ping", f.kind)
}

// textIn returns a text that must be in the data of a frame.
func textIn(f frame, name string) (string, *events.Error) {
	if f.data == nil {
		return "", events.FieldErrorf("data", "is not an object")
	}
	text, ok := textOf(f.data[name])
	if !ok || text == "" {
		return "", events.FieldErrorf("data."+name, "is not a text")
	}
	return text, nil
}

// chat says something in a conversation, which the client need not have
// subscribed to. But what it says where it was taken out must not get into
// another of the same name, without its knowing.
func (s *service) chat(ctx context.Context, f frame) *events.Error {
	name, err := textIn(f, "conversation_id")
	if err != nil {
		return err
	}
	content, err := textIn(f, "content")
	if err != nil {
		return err
	}
	if s.in.closed(name) {
		return events.NotFound("conversation", name)
	}
	room, err := s.enter(ctx, name)
	if err != nil {
		return err
	}
	return s.conn.Session().Do(ctx, "ai_chat_user_message", map[string]any{
		"message": map[string]string{"text": content}, "chatRoomID": room,
	}, nil)
}

// Refuse implements [Speaker].
func (s *service) Refuse(f frame, e *events.Error) {
	code := "invalid_request"
	switch {
	case e.Code == events.CodeInternal, e.Code == events.CodeTimeout:
		code = "internal_error"
	case e.Code == events.CodeRateLimited, e.Code == events.CodeTooManyRuns:
		code = "rate_limited"
	case strings.HasSuffix(f.kind, "subscribe") && e.Code != events.CodeValidation && !isAuth(e.Code):
		code = "subscription_failed"
	case isAuth(e.Code), e.Code == events.CodePermissionDenied:
		code = "unauthorized"
	}
	s.say("error", map[string]string{"code": code, "message": e.Message})
}
