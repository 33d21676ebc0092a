package rawws

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// NewBots returns the dialect bots.
func NewBots(c Conversations) Dialect {
	return Dialect{Name: Bots, Auth: AuthFirst, Speak: func(conn *Conn) Speaker { return &bots{conn: conn, conversations: c} }}
}

// bots speaks the dialect bots: flat frames with a type, in which conversations
// are sessions that the client names.
type bots struct {
	conn          *Conn
	conversations Conversations
	in            named
	epoch         string          // of the numbers of messages
	typed         map[string]bool // sessions in which the client is typing, as it has said

	mu      sync.Mutex
	closed  map[string]bool // sessions that were closed for the client
	answers answers
	tools   map[string]string // names of tools that are being used, by room and call
	reached reached
}

// botsFrame is what the server says. Which fields are set depends on the type.
type botsFrame struct {
	Type      string          `json:"type"`
	SessionID string          `json:"session_id,omitempty"`
	MessageID string          `json:"message_id,omitempty"`
	Role      string          `json:"role,omitempty"`
	UserID    string          `json:"user_id,omitempty"`
	Content   *string         `json:"content,omitempty"`
	IsTyping  *bool           `json:"is_typing,omitempty"`
	Tool      string          `json:"tool,omitempty"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Result    any             `json:"result,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Code      string          `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Timestamp string          `json:"timestamp,omitempty"`
}

// Entered implements [Speaker]. The documents have no answer to a good token.
func (b *bots) Entered(context.Context) {}

// Left implements [Speaker].
func (b *bots) Left() {
	for session := range b.typed {
		b.typing(context.Background(), session, false)
	}
	if b.conn.silence() > 2*b.conn.srv.opts.Limits.Ping {
		return // whoever comes back has done so long ago
	}
	for _, room := range b.in.all() {
		b.depart(context.Background(), room)
	}
}

// field returns a text of a frame, which may be at the top or in the payload.
func (b *bots) field(f frame, name string) string {
	if text, ok := f.text(name); ok {
		return text
	}
	text, _ := textOf(f.payload[name])
	return text
}

// Receive implements [Speaker].
func (b *bots) Receive(ctx context.Context, f frame) {
	var err *events.Error
	switch {
	case f.fields == nil:
		err = events.Errorf(events.CodeValidation, "what was sent is not a JSON object")
	case f.kind == "ping":
		b.conn.SendJSON(botsFrame{Type: "pong", Timestamp: clock(time.Now())})
	case f.kind == "auth":
		err = b.authenticate(ctx, b.field(f, "token"))
	case b.conn.Session() == nil:
		err = events.Errorf(events.CodeTokenNotFound, "nobody knows who you are: send {\"type\":\"auth\",\"token\":…} first")
	default:
		err = b.act(ctx, f)
	}
	if err != nil {
		b.Refuse(f, err)
	}
}

// authenticate lets the client in, or renews what it came in with.
func (b *bots) authenticate(ctx context.Context, token string) *events.Error {
	if s := b.conn.Session(); s != nil {
		var out struct{ Left []events.Room }
		err := s.Do(ctx, "auth_refresh", map[string]string{"token": token}, &out)
		for _, room := range out.Left { // that the user may no longer be in
			b.close(string(room), "removed")
		}
		return err
	}
	if err := b.conn.Authenticate(auth.FromText(token)); err != nil {
		b.Refuse(frame{kind: "auth"}, err)
		b.conn.End(statusAuth, "not authenticated")
	}
	return nil
}

func (b *bots) act(ctx context.Context, f frame) *events.Error {
	session := b.field(f, "session_id")
	switch f.kind {
	case "message":
		return b.say(ctx, session, b.field(f, "content"))
	case "subscribe":
		_, err := b.subscribe(ctx, session)
		return err
	case "unsubscribe":
		return b.unsubscribe(ctx, session)
	case "typing_start", "typing_stop":
		return b.typing(ctx, session, f.kind == "typing_start")
	case "join", "leave", "signal":
		return misplaced(meetElsewhere)
	}
	return events.FieldErrorf("type", "%q is unknown: use auth, message, subscribe, unsubscribe, typing_start, typing_stop or ping", f.kind)
}

// say says something in a session, which the client need not have subscribed
// to.
func (b *bots) say(ctx context.Context, session, content string) *events.Error {
	if content == "" {
		return events.FieldErrorf("content", "is missing")
	}
	if b.wasClosed(session) {
		return notSubscribed(session)
	}
	room, err := b.subscribe(ctx, session)
	if err != nil {
		return err
	}
	return b.conn.Session().Do(ctx, "ai_chat_user_message", map[string]any{
		"message": map[string]string{"text": content}, "chatRoomID": room,
	}, nil)
}

// subscribe puts the client into a session and makes that if it is new. What
// was said while the client was away comes first.
func (b *bots) subscribe(ctx context.Context, session string) (room string, err *events.Error) {
	if room, in := b.in.room(session); in {
		return room, nil
	}
	if b.in.count() >= maxSessions {
		return "", events.Errorf(codeSubscription, "you are in %d sessions already: unsubscribe from one first", maxSessions)
	}
	tenant, err := b.conn.Tenant()
	if err != nil {
		return "", subscription(err)
	}
	room, made, failed := b.conversations.Named(ctx, b.conn.Session().Identity(), tenant, session)
	if failed != nil {
		return "", subscription(public(failed))
	}
	if other, in := b.in.name(room); in {
		return "", events.Errorf(codeSubscription, "you have subscribed to this session as %q: call it that", other)
	}
	if made {
		b.startOver(room)
		b.conn.SendJSON(botsFrame{Type: "session_created", SessionID: session})
	}
	b.in.add(session, room)
	if err := b.join(ctx, room); err != nil {
		b.in.remove(session)
		return "", subscription(err)
	}
	b.mu.Lock()
	delete(b.closed, session)
	b.mu.Unlock()
	return room, nil
}

// maxSessions bounds the sessions that a client is in: what is kept of them lasts
// as long as the connection.
const maxSessions = 1000

// join enters the room of a session, from where the client has been brought to.
// Who has never been there begins with what is said from now on.
func (b *bots) join(ctx context.Context, room string) *events.Error {
	s := b.conn.Session()
	since, known, err := b.since(ctx, room)
	if err != nil {
		return err
	}
	in := map[string]any{"chatRoomID": room, "stream": true}
	if known {
		in["since"] = since
		b.reached.arrived(room, since.Offset)
	}
	var joined struct {
		Messages []struct {
			Offset uint64 `json:"offset"`
		} `json:"messages"`
	}
	if err := s.Do(ctx, "ai_chat_room_join", in, &joined); err != nil {
		if known {
			b.depart(ctx, room)
		}
		return err
	}
	if known {
		return nil
	}
	var latest uint64
	if n := len(joined.Messages); n > 0 {
		latest = joined.Messages[n-1].Offset
	}
	b.reached.arrived(room, latest)
	if err := b.conversations.MoveCursor(ctx, s.Identity(), room, latest); err != nil {
		return public(err)
	}
	return nil
}

// since returns where a client goes on in a room that it enters; known is false
// if its user never was there. What it was sent on this connection does not come
// again.
func (b *bots) since(ctx context.Context, room string) (since events.Since, known bool, err *events.Error) {
	if p, been := b.reached.in(room); been {
		return events.Since{Epoch: b.epoch, Offset: p.sent}, true, nil
	}
	since, known, failed := b.conversations.Return(ctx, b.conn.Session().Identity(), room)
	if failed != nil {
		return since, false, public(failed)
	}
	b.epoch = since.Epoch
	return since, known, nil
}

// depart notes how far the client was brought in a room: it may come back, on
// another connection.
func (b *bots) depart(ctx context.Context, room string) {
	p, been := b.reached.in(room)
	if !been {
		return
	}
	b.reached.forget(room)
	if err := b.conversations.Depart(ctx, b.conn.Session().Identity(), room, p.got); err != nil {
		b.conn.log().Error("departure was not noted", "room", room, "error", err)
	}
}

// wasClosed reports whether a session was closed for the client. What it says
// then must not get into a new one of the same name, without its knowing.
func (b *bots) wasClosed(session string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed[session]
}

func (b *bots) unsubscribe(ctx context.Context, session string) *events.Error {
	room, in := b.in.room(session)
	if !in {
		return notSubscribed(session)
	}
	if b.typed[session] {
		b.typing(ctx, session, false)
	}
	err := b.conn.Session().Do(ctx, "ai_chat_room_disconnect", map[string]string{"chatRoomID": room}, nil)
	b.in.remove(session)
	b.mu.Lock()
	b.answers.leave(room)
	b.mu.Unlock()
	if err == nil {
		b.conn.SendJSON(botsFrame{Type: "session_closed", SessionID: session, Reason: "user_disconnect"})
	}
	return err
}

func notSubscribed(session string) *events.Error {
	e := events.NotFound("session", session)
	e.Field = "session_id"
	return e
}

func (b *bots) typing(ctx context.Context, session string, typing bool) *events.Error {
	room, in := b.in.room(session)
	if !in {
		delete(b.typed, session)
		return notSubscribed(session)
	}
	err := b.conn.Session().Do(ctx, "ai_chat_typing", map[string]any{"chatRoomID": room, "typing": typing}, nil)
	switch {
	case err != nil:
	case !typing:
		delete(b.typed, session)
	case b.typed == nil:
		b.typed = map[string]bool{session: true}
	default:
		b.typed[session] = true
	}
	return err
}

// Refuse implements [Speaker].
func (b *bots) Refuse(f frame, e *events.Error) {
	b.conn.SendJSON(botsFrame{Type: "error", Code: botsCode(f.kind, e), Message: e.Message})
}

// botsCode is the code of what was wrong with a frame of a kind.
func botsCode(kind string, e *events.Error) string {
	switch {
	case isAuth(e.Code), kind == "auth":
		return "AUTH_FAILED"
	case e.Code == events.CodeTooLarge:
		return "MESSAGE_TOO_LARGE"
	case e.Code == events.CodeRateLimited, e.Code == events.CodeConflict:
		return "RATE_LIMITED"
	case e.Code == events.CodeInternal, e.Code == events.CodeTimeout:
		return "INTERNAL_ERROR"
	case e.Code == codeSubscription, e.Code == events.CodePermissionDenied:
		return "SUBSCRIPTION_FAILED"
	case e.Code == events.CodeNotFound:
		return "SESSION_NOT_FOUND"
	}
	return "INVALID_FORMAT"
}

// codeSubscription is that of a session that the client cannot get into.
const codeSubscription events.Code = "SUBSCRIPTION_FAILED"

// subscription is why a client does not get into a session.
func subscription(e *events.Error) *events.Error {
	switch e.Code {
	case events.CodeValidation, events.CodeInvalidRequest, events.CodeNotFound, events.CodePermissionDenied:
		return events.Errorf(codeSubscription, "%s", e.Error())
	}
	return e
}
