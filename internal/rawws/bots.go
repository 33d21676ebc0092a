package rawws

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

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

	mu     sync.Mutex
	ended  map[string]bool   // answers that were streamed to their end, by message id
	tools  map[string]string // names of tools that are being used, by call
	unseen map[string]uint64 // offsets that the client was brought to and has not confirmed, by room
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
func (b *bots) Left() {}

// field returns a text of a frame, which may be at the top or in the payload.
func (b *bots) field(f frame, name string) string {
	if text, ok := f.text(name); ok {
		return text
	}
	payload, _ := f.object("payload")
	text, _ := textOf(payload[name])
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
		return s.Do(ctx, "auth_refresh", map[string]string{"token": token}, nil)
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
	return events.FieldErrorf("type", "%q is unknown", f.kind)
}

// say says something in a session, which the client need not have subscribed
// to.
func (b *bots) say(ctx context.Context, session, content string) *events.Error {
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
	s := b.conn.Session()
	tenant, err := b.conn.Tenant()
	if err != nil {
		return "", err
	}
	room, made, failed := b.conversations.Named(ctx, s.Identity(), tenant, session)
	if failed != nil {
		return "", public(failed)
	}
	if made {
		b.conn.SendJSON(botsFrame{Type: "session_created", SessionID: session})
	}
	join := map[string]any{"chatRoomID": room, "stream": true}
	if since, failed := b.conversations.Cursor(ctx, s.Identity(), room); failed != nil {
		return "", public(failed)
	} else if since.Offset > 0 {
		join["since"] = since
	}
	b.in.add(session, room)
	if err := s.Do(ctx, "ai_chat_room_join", join, nil); err != nil {
		b.in.remove(session)
		return "", err
	}
	return room, nil
}

func (b *bots) unsubscribe(ctx context.Context, session string) *events.Error {
	room, in := b.in.room(session)
	if !in {
		return notSubscribed(session)
	}
	err := b.conn.Session().Do(ctx, "ai_chat_room_disconnect", map[string]string{"chatRoomID": room}, nil)
	b.in.remove(session)
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
		return notSubscribed(session)
	}
	return b.conn.Session().Do(ctx, "ai_chat_typing", map[string]any{"chatRoomID": room, "typing": typing}, nil)
}

// answers is the name space of the ids of answers.
var answers = uuid.MustParse("3c1f62c1-5f0e-4a55-8d55-0f6a3e1f6f0b")

// messageID is the same on every server and for every client: that of an answer
// is known before the answer is.
func messageID(room string, offset uint64, role string) string {
	return uuid.NewSHA1(answers, []byte(room+"\x00"+strconv.FormatUint(offset, 10)+role)).String()
}

// Hear implements [Speaker].
func (b *bots) Hear(n Notice) {
	switch n.Event {
	case "ai_chat_member_message":
		b.memberMessage(n)
	case "ai_chat_bot_message":
		b.botMessage(n)
	case "ai_chat_bot_stream_start":
		p := decode[events.AIChatBotStreamStart](n)
		b.tell(p.ChatRoomID, botsFrame{Type: "stream_start", MessageID: messageID(p.ChatRoomID, p.ReplyTo, "")})
	case "ai_chat_bot_stream_delta":
		p := decode[events.AIChatBotStreamDelta](n)
		b.chunk(n, p)
	case "ai_chat_bot_stream_end":
		p := decode[events.AIChatBotStreamEnd](n)
		id := messageID(p.ChatRoomID, p.ReplyTo, "")
		b.mark(id)
		b.tell(p.ChatRoomID, botsFrame{Type: "stream_end", MessageID: id, Content: &p.Text})
	case "ai_chat_bot_typing":
		p := decode[events.AIChatBotTyping](n)
		b.tell(p.ChatRoomID, botsFrame{Type: "bot_typing", IsTyping: &p.Typing})
	case "ai_chat_member_typing":
		b.memberTyping(decode[events.AIChatMemberTyping](n))
	case "ai_chat_tool_call":
		b.toolCall(decode[events.AIChatToolCall](n))
	case "ai_chat_tool_result":
		b.toolResult(decode[events.AIChatToolResult](n))
	case "ai_chat_room_updated":
		b.roomUpdated(decode[events.AIChatRoomUpdated](n))
	case "auth_ended":
		b.Refuse(frame{}, events.Errorf(events.CodeTokenExpired, "%s", decode[events.AuthEnded](n).Message))
	}
}

// tell says something about a session that the client is in.
func (b *bots) tell(room string, f botsFrame) {
	if name, in := b.in.name(room); in {
		f.SessionID = name
		b.conn.SendJSON(f)
	}
}

// chunk has no session in it, so that all clients get the same.
func (b *bots) chunk(n Notice, p events.AIChatBotStreamDelta) {
	if _, in := b.in.name(p.ChatRoomID); in {
		b.conn.SendFrame(n.Frame(Bots, func() []byte {
			text, _ := encode(botsFrame{Type: "stream_chunk", MessageID: messageID(p.ChatRoomID, p.ReplyTo, ""), Content: &p.Text})
			return text
		}))
	}
}

// memberMessage shows what a user said to the user's other clients and to other
// users.
func (b *bots) memberMessage(n Notice) {
	p := decode[events.AIChatMemberMessage](n)
	if p.SessionID != b.conn.Session().ID() {
		b.tell(p.ChatRoomID, botsFrame{
			Type: "message", MessageID: messageID(p.ChatRoomID, n.Offset, "user"), Role: "user", UserID: p.UserID, Content: &p.Text, Timestamp: clock(p.At.Time),
		})
	}
	b.brought(p.ChatRoomID, n.Offset)
}

// botMessage is an answer, for those who have not seen it come.
func (b *bots) botMessage(n Notice) {
	p := decode[events.AIChatBotMessage](n)
	id := messageID(p.ChatRoomID, p.ReplyTo, "")
	if p.ReplyTo == 0 || !b.unmark(id) {
		b.tell(p.ChatRoomID, botsFrame{Type: "message", MessageID: id, Role: "assistant", Content: &p.Text, Timestamp: clock(time.Now())})
	}
	b.brought(p.ChatRoomID, n.Offset)
}

// maxEnded bounds the answers whose end was seen before the message itself.
const maxEnded = 64

// mark notes that the client has seen an answer come.
func (b *bots) mark(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended == nil || len(b.ended) >= maxEnded {
		b.ended = make(map[string]bool)
	}
	b.ended[id] = true
}

func (b *bots) unmark(id string) (was bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was = b.ended[id]
	delete(b.ended, id)
	return was
}

// roomUpdated tells of a session that is not there any more for the client.
func (b *bots) roomUpdated(p events.AIChatRoomUpdated) {
	reason := "deleted"
	if p.Removed {
		reason = "removed"
	}
	if name, in := b.in.name(p.ChatRoomID); in && (p.Deleted || p.Removed) {
		b.in.remove(name)
		b.conn.SendJSON(botsFrame{Type: "session_closed", SessionID: name, Reason: reason})
	}
}

func (b *bots) memberTyping(p events.AIChatMemberTyping) {
	if p.SessionID == b.conn.Session().ID() {
		return
	}
	kind := "typing_stop"
	if p.Typing {
		kind = "typing_start"
	}
	b.tell(p.ChatRoomID, botsFrame{Type: kind, UserID: p.UserID})
}

func (b *bots) toolCall(p events.AIChatToolCall) {
	b.mu.Lock()
	if b.tools == nil || len(b.tools) >= maxEnded {
		b.tools = make(map[string]string)
	}
	b.tools[p.ToolCallID] = p.Name
	b.mu.Unlock()
	b.tell(p.ChatRoomID, botsFrame{Type: "tool_call", Tool: p.Name, Arguments: json.RawMessage(p.Arguments)})
}

func (b *bots) toolResult(p events.AIChatToolResult) {
	b.mu.Lock()
	name := b.tools[p.ToolCallID]
	delete(b.tools, p.ToolCallID)
	b.mu.Unlock()
	b.tell(p.ChatRoomID, botsFrame{Type: "tool_result", Tool: name, Result: map[string]any{"ok": p.OK, "summary": p.Summary}})
}

// brought notes how far the client was brought in a room. It counts when the
// client has answered the ping that goes behind.
func (b *bots) brought(room string, offset uint64) {
	b.mu.Lock()
	if b.unseen == nil {
		b.unseen = make(map[string]uint64)
	}
	b.unseen[room] = max(b.unseen[room], offset)
	b.mu.Unlock()
	b.conn.ws.Ping()
}

// Alive implements [aliveSpeaker]: what was sent before has been received.
func (b *bots) Alive(ctx context.Context) {
	b.mu.Lock()
	seen := b.unseen
	b.unseen = nil
	b.mu.Unlock()
	for room, offset := range seen {
		if err := b.conversations.MoveCursor(ctx, b.conn.Session().Identity(), room, offset); err != nil {
			b.conn.log().Error("cursor was not moved", "room", room, "error", err)
		}
	}
}

// Refuse implements [Speaker].
func (b *bots) Refuse(f frame, e *events.Error) {
	code := "INVALID_FORMAT"
	switch {
	case isAuth(e.Code), f.kind == "auth":
		code = "AUTH_FAILED"
	case e.Code == events.CodeTooLarge:
		code = "MESSAGE_TOO_LARGE"
	case e.Code == events.CodeRateLimited:
		code = "RATE_LIMITED"
	case e.Code == events.CodeInternal, e.Code == events.CodeTimeout:
		code = "INTERNAL_ERROR"
	case f.kind == "subscribe":
		code = "SUBSCRIPTION_FAILED"
	case e.Code == events.CodeNotFound:
		code = "SESSION_NOT_FOUND"
	}
	b.conn.SendJSON(botsFrame{Type: "error", Code: code, Message: e.Message})
}
