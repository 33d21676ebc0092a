package rawws

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
)

// messages is the name space of the ids of messages.
var messages = uuid.MustParse("3c1f62c1-5f0e-4a55-8d55-0f6a3e1f6f0b")

// messageID is the same on every server and for every client: that of an answer
// is known before the answer is.
func messageID(room string, offset uint64, role string) string {
	return uuid.NewSHA1(messages, []byte(room+"\x00"+strconv.FormatUint(offset, 10)+role)).String()
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
		b.start(p.ChatRoomID, p.ReplyTo)
	case "ai_chat_bot_stream_delta":
		b.chunk(n, decode[events.AIChatBotStreamDelta](n))
	case "ai_chat_bot_stream_end":
		p := decode[events.AIChatBotStreamEnd](n)
		b.end(p.ChatRoomID, p.ReplyTo, p.Text)
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
	case "gap":
		name, _ := b.in.name(string(decode[events.Gap](n).Room))
		b.Refuse(frame{}, events.Errorf(events.CodeInternal, "some of what was said in session %q is lost: read its history", name))
	}
}

// tell says something about a session that the client is in.
func (b *bots) tell(room string, f botsFrame) {
	if name, in := b.in.name(room); in {
		f.SessionID = name
		b.conn.SendJSON(f)
	}
}

// start tells that an answer begins, or begins again.
func (b *bots) start(room string, replyTo uint64) {
	id := messageID(room, replyTo, "")
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, in := b.in.name(room); in && !b.answers.over(room, id) {
		b.begin(room, id)
	}
}

// begin tells that an answer begins. The mutex is held.
func (b *bots) begin(room, id string) *told {
	b.tell(room, botsFrame{Type: "stream_start", MessageID: id})
	return b.answers.begin(room, id)
}

// chunk has no session in it, so that all clients get the same. Text in place
// of what was said before begins the answer again.
func (b *bots) chunk(n Notice, p events.AIChatBotStreamDelta) {
	id := messageID(p.ChatRoomID, p.ReplyTo, "")
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, in := b.in.name(p.ChatRoomID); !in || b.answers.over(p.ChatRoomID, id) {
		return
	}
	t := b.answers.open[id]
	if t == nil || t.n > 0 && p.At == 0 {
		t = b.begin(p.ChatRoomID, id)
	}
	t.say(p.Text)
	b.conn.SendFrame(n.Frame(Bots, func() []byte {
		text, _ := encode(chunkOf(id, p.Text))
		return text
	}))
}

func chunkOf(id, text string) botsFrame {
	return botsFrame{Type: "stream_chunk", MessageID: id, Content: &text}
}

// end ends an answer, as it is told in its stream or by itself, whichever comes
// first: they come by two rooms, so the last pieces may not be there yet. It is a
// message for who has not seen it begin.
func (b *bots) end(room string, replyTo uint64, text string) {
	id := messageID(room, replyTo, "")
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, in := b.in.name(room); !in || b.answers.over(room, id) {
		return
	}
	t := b.answers.open[id]
	b.answers.end(room, id)
	if t == nil {
		b.tell(room, botsFrame{Type: "message", MessageID: id, Role: "assistant", Content: &text, Timestamp: clock(time.Now())})
		return
	}
	rest, goesOn := t.rest(text)
	if !goesOn {
		b.tell(room, botsFrame{Type: "stream_start", MessageID: id})
		rest = text
	}
	if rest != "" {
		b.conn.SendJSON(chunkOf(id, rest))
	}
	b.tell(room, botsFrame{Type: "stream_end", MessageID: id, Content: &text})
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

// botMessage is an answer. What answers nothing that was said has an id of its
// own.
func (b *bots) botMessage(n Notice) {
	p := decode[events.AIChatBotMessage](n)
	if p.ReplyTo != 0 {
		b.end(p.ChatRoomID, p.ReplyTo, p.Text)
	} else {
		b.tell(p.ChatRoomID, botsFrame{
			Type: "message", MessageID: messageID(p.ChatRoomID, n.Offset, "said"), Role: "assistant", Content: &p.Text, Timestamp: clock(time.Now()),
		})
	}
	b.brought(p.ChatRoomID, n.Offset)
}

// maxKept bounds what a connection keeps of the tools that are being used, and
// of the sessions that were closed for it.
const maxKept = 64

// roomUpdated tells of a session that is not there any more for the client.
func (b *bots) roomUpdated(p events.AIChatRoomUpdated) {
	reason := "deleted"
	if p.Removed {
		reason = "removed"
	}
	if p.Deleted || p.Removed {
		b.close(p.ChatRoomID, reason)
	}
}

// close tells that a session is not there any more for the client, if it is in
// one of its rooms.
func (b *bots) close(room, reason string) {
	name, in := b.in.name(room)
	if !in {
		return
	}
	room, _ = b.in.room(name)
	b.in.remove(name)
	b.mu.Lock()
	if b.closed == nil || len(b.closed) >= maxKept {
		b.closed = make(map[string]bool)
	}
	b.closed[name] = true
	b.mu.Unlock()
	b.startOver(room)
	b.conn.SendJSON(botsFrame{Type: "session_closed", SessionID: name, Reason: reason})
}

// startOver forgets what the client has heard in a room that is gone: one of the
// same name counts from the beginning again.
func (b *bots) startOver(room string) {
	b.reached.forget(room)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers.forget(room)
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
	if b.tools == nil || len(b.tools) >= maxKept {
		b.tools = make(map[string]string)
	}
	b.tools[p.ChatRoomID+p.ToolCallID] = p.Name
	b.mu.Unlock()
	b.tell(p.ChatRoomID, botsFrame{Type: "tool_call", Tool: p.Name, Arguments: json.RawMessage(p.Arguments)})
}

func (b *bots) toolResult(p events.AIChatToolResult) {
	b.mu.Lock()
	call := p.ChatRoomID + p.ToolCallID // models begin to count anew
	name := b.tools[call]
	delete(b.tools, call)
	b.mu.Unlock()
	b.tell(p.ChatRoomID, botsFrame{Type: "tool_result", Tool: name, Result: map[string]any{"ok": p.OK, "summary": p.Summary}})
}

// brought notes how far the client was brought in a room that it is in. It
// counts when the client has answered the ping that goes behind.
func (b *bots) brought(room string, offset uint64) {
	if _, in := b.in.name(room); in && offset > 0 {
		b.conn.Ask(b.reached.sent(room, offset))
	}
}

// Alive implements [aliveSpeaker]: what was sent before the mark has been
// received.
func (b *bots) Alive(ctx context.Context, mark uint64) {
	ctx = context.WithoutCancel(ctx) // the connection may end now, and what it confirmed counts
	for room, offset := range b.reached.confirmed(mark) {
		if err := b.conversations.MoveCursor(ctx, b.conn.Session().Identity(), room, offset); err != nil {
			b.conn.log().Error("cursor was not moved", "room", room, "error", err)
		}
	}
}
