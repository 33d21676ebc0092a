package root

import (
	"context"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/namespaces"
)

type aiChat struct {
	chat     *chat.Service
	once     *once.Service
	epoch    string
	followed *followed

	mu     sync.Mutex
	joined map[namespaces.Session]map[events.Room]bool
}

func newAIChat(c *chat.Service, o *once.Service, epoch string, f *followed) *aiChat {
	return &aiChat{chat: c, once: o, epoch: epoch, followed: f, joined: make(map[namespaces.Session]map[events.Room]bool)}
}

func (a *aiChat) routes() []namespaces.Route {
	return []namespaces.Route{
		namespaces.HandleOnce(a.once, "ai_chat_room_join", a.join, a.joinAgain),
		namespaces.Handle("ai_chat_room_disconnect", a.disconnect),
		namespaces.Handle("ai_chat_stop", a.stop),
		namespaces.Handle("ai_chat_typing", a.typing),
		namespaces.Handle("ai_chat_approval", a.approval),
		namespaces.Handle("ai_chat_history", a.history),
		namespaces.HandleOnce(a.once, "ai_chat_user_message", a.message, a.messageAgain).FailingAlwaysAs(botFailure),
	}
}

type chatJoin struct {
	namespaces.ClientMessage
	ChatRoomID string        `json:"chatRoomID,omitempty"`
	Since      *events.Since `json:"since,omitempty"`
	TenantID   string        `json:"tenantID,omitempty"`
	FirebaseID string        `json:"firebaseID,omitempty"`
	// Stream asks for answers while they are being given.
	Stream bool `json:"stream,omitempty"`
}

// MessageID is the id of a join that begins a conversation. Others change
// nothing, and may be repeated anyway.
func (j chatJoin) MessageID() string {
	if j.ChatRoomID != "" {
		return ""
	}
	return j.ClientMessageID
}

type chatJoined struct {
	ChatRoomID string                 `json:"chatRoomID"`
	Messages   []events.AIChatMessage `json:"messages"`
	resumption
}

// join begins a conversation, or goes on with one.
func (a *aiChat) join(ctx context.Context, s namespaces.Session, in chatJoin) (chatJoined, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return chatJoined{}, err
	}
	var room chat.Room
	var err error
	if in.ChatRoomID == "" {
		room, err = a.chat.Open(ctx, s.Identity(), in.TenantID)
	} else {
		room, err = a.chat.Room(ctx, s.Identity(), in.ChatRoomID)
	}
	if err != nil {
		return chatJoined{}, err
	}
	s.Emit(events.AIChatRoomID{ChatRoomID: room.ID})
	recent, resumed, err := a.enter(ctx, s, room, in.Since)
	if err == nil && in.Stream {
		err = a.enterStream(ctx, s, room)
	}
	if err != nil {
		return chatJoined{}, err
	}
	return chatJoined{ChatRoomID: room.ID, Messages: histories(recent), resumption: resumed}, nil
}

// joinAgain puts a session into the conversation that the first join began.
// What was said since comes as events.
func (a *aiChat) joinAgain(ctx context.Context, s namespaces.Session, in chatJoin, first chatJoined) error {
	s.Emit(events.AIChatRoomID{ChatRoomID: first.ChatRoomID})
	return a.enterAgain(ctx, s, first.ChatRoomID, events.Since{Epoch: first.Epoch, Offset: first.Offset}, in.Stream)
}

func (a *aiChat) enterAgain(ctx context.Context, s namespaces.Session, roomID string, since events.Since, stream bool) error {
	room, err := a.chat.Room(ctx, s.Identity(), roomID)
	if err != nil {
		return err
	}
	if _, _, err = a.enter(ctx, s, room, &since); err == nil && stream {
		err = a.enterStream(ctx, s, room)
	}
	return err
}

// enter puts a session into a conversation and returns the latest messages.
// What is said after those, or after since, reaches it as events.
func (a *aiChat) enter(ctx context.Context, s namespaces.Session, room chat.Room, since *events.Since) ([]chat.Message, resumption, error) {
	recent, err := a.chat.Recent(ctx, room)
	if err != nil {
		return nil, resumption{}, err
	}
	var after uint64
	if len(recent) > 0 {
		after = recent[len(recent)-1].Seq
	}
	ctx, out := context.WithoutCancel(ctx), newSending(ctx, s) // a client may take its time
	if since != nil {
		var gap *events.Gap
		if after, gap = since.Resume(events.ChatRoom(room.ID), a.epoch, 0, after); gap != nil {
			err = out.miss(gap)
		}
		if err != nil {
			return nil, resumption{}, err
		}
	}
	through, err := a.followed.follow(s, events.ChatRoom(room.ID), after, func(after, until uint64) (uint64, error) {
		err := a.chat.Published(ctx, room.ID, after, min(until, math.MaxInt64), func(m chat.Message) error {
			after = m.Seq
			return out.Emit(events.Numbered{Payload: m.Payload(), Offset: m.Seq}, len(m.Text))
		})
		return after, err
	})
	if err != nil {
		return nil, resumption{}, err
	}
	a.remember(s, events.ChatRoom(room.ID))
	if err := a.mayStay(ctx, s, room.ID); err != nil {
		return nil, resumption{}, err
	}
	return recent, resume(a.epoch, since, out.gap, through), nil
}

// enterStream lets a session hear answers while they are being given. What has
// been said of the one that is comes first, as one piece; then what waits for a
// decision.
func (a *aiChat) enterStream(ctx context.Context, s namespaces.Session, room chat.Room) error {
	ctx, out := context.WithoutCancel(ctx), newSending(ctx, s) // a client may take its time
	stream := events.ChatStreamRoom(room.ID)
	_, err := a.followed.follow(s, stream, 0, func(after, until uint64) (uint64, error) {
		said, err := a.chat.Streamed(ctx, room.ID, after, min(until, math.MaxInt64))
		for _, e := range said {
			after = e.Seq
			if e.Kind == chat.StreamEnd {
				continue // the message is in the history
			}
			if err := out.Emit(events.Numbered{Payload: e.Payload(), Offset: e.Seq}, len(e.Data)); err != nil {
				return 0, err
			}
		}
		return after, err
	})
	if err == nil {
		err = a.chat.ShowApprovals(ctx, room, func(p events.Payload) { s.Emit(p) })
	}
	if err != nil {
		return err
	}
	return a.mayStay(ctx, s, room.ID)
}

// remember keeps which conversations a session is in, so that it can leave
// them without naming them.
func (a *aiChat) remember(s namespaces.Session, room events.Room) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.joined[s] == nil {
		a.joined[s] = make(map[events.Room]bool)
	}
	a.joined[s][room] = true
}

// rooms returns the conversations that a session is in.
func (a *aiChat) rooms(s namespaces.Session) []events.Room {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.joined[s]))
}

func (a *aiChat) isIn(s namespaces.Session, room events.Room) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.joined[s][room]
}

// left drops a conversation that a session had to leave.
func (a *aiChat) left(s namespaces.Session, room events.Room) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.joined[s], room)
}

// forget drops a session that has ended.
func (a *aiChat) forget(s namespaces.Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.joined, s)
}

type chatDisconnect struct {
	ChatRoomID string `json:"chatRoomID,omitempty"`
	FirebaseID string `json:"firebaseID,omitempty"`
}

// disconnect leaves a conversation, or all of them. The assistant still answers what was said.
func (a *aiChat) disconnect(_ context.Context, s namespaces.Session, in chatDisconnect) (struct{}, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return struct{}{}, err
	}
	for _, room := range a.rooms(s) {
		if in.ChatRoomID == "" || room == events.ChatRoom(in.ChatRoomID) {
			a.leave(s, room)
		}
	}
	return struct{}{}, nil
}

type chatStop struct {
	ChatRoomID string `json:"chatRoomID"`
	FirebaseID string `json:"firebaseID,omitempty"`
}

type chatStopped struct {
	Stopped bool `json:"stopped"` // false if there was nothing to stop
}

// stop ends the answer that is being given, on whichever device and server.
func (a *aiChat) stop(ctx context.Context, s namespaces.Session, in chatStop) (chatStopped, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return chatStopped{}, err
	}
	stopped, err := a.chat.Stop(ctx, s.Identity(), in.ChatRoomID)
	return chatStopped{stopped}, err
}

type chatTyping struct {
	ChatRoomID string `json:"chatRoomID"`
	Typing     bool   `json:"typing"`
}

// typing tells those who hear answers in pieces that a user is typing.
func (a *aiChat) typing(ctx context.Context, s namespaces.Session, in chatTyping) (struct{}, error) {
	return struct{}{}, a.chat.Typing(ctx, s.Identity(), in.ChatRoomID, s.ID(), in.Typing)
}

type chatMessage struct {
	namespaces.ClientMessage
	Message    chatText `json:"message"`
	ChatRoomID string   `json:"chatRoomID,omitempty"`
	RoomID     string   `json:"roomId,omitempty"` // another name for ChatRoomID
	TenantID   string   `json:"tenantID,omitempty"`
	FirebaseID string   `json:"firebaseID,omitempty"`
}

func (m chatMessage) room() string {
	if m.ChatRoomID != "" {
		return m.ChatRoomID
	}
	return m.RoomID
}

type chatAccepted struct {
	ChatRoomID string `json:"chatRoomID"`
	Epoch      string `json:"epoch"`
	Offset     uint64 `json:"offset"` // of the message: the answer has a greater one
}

// message says something. The answer comes as an event of its own, and to the
// room: who says something is put there, also without having joined.
func (a *aiChat) message(ctx context.Context, s namespaces.Session, in chatMessage) (chatAccepted, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return chatAccepted{}, err
	}
	if in.room() == "" {
		return chatAccepted{}, events.FieldErrorf("chatRoomID", "is missing")
	}
	if !a.isIn(s, events.ChatRoom(in.room())) {
		room, err := a.chat.Room(ctx, s.Identity(), in.room())
		if err != nil {
			return chatAccepted{}, err
		}
		if _, _, err := a.enter(ctx, s, room, nil); err != nil {
			return chatAccepted{}, err
		}
	}
	said, err := a.chat.Say(ctx, s.Identity(), in.room(), chat.Words{Tenant: in.TenantID, Text: in.Message.Text, Action: in.Message.Action, Session: s.ID()})
	out := chatAccepted{said.RoomID, a.epoch, said.Seq}
	if err == nil && once.Again(ctx) { // it may have been answered before the session came
		err = a.messageAgain(ctx, s, in, out)
	}
	return out, err
}

// messageAgain sees to it that a session gets the answer to what was said
// before, on whatever connection.
func (a *aiChat) messageAgain(ctx context.Context, s namespaces.Session, _ chatMessage, first chatAccepted) error {
	return a.enterAgain(ctx, s, first.ChatRoomID, events.Since{Epoch: first.Epoch, Offset: first.Offset}, false)
}

// botFailure answers a message that could not be taken in, so that no client
// waits for ever.
func botFailure(arg json.RawMessage, e *events.Error) events.Payload {
	var in struct {
		ChatRoomID any `json:"chatRoomID"`
		RoomID     any `json:"roomId"`
	}
	json.Unmarshal(arg, &in) // whatever can be read of it
	id, ok := in.ChatRoomID.(string)
	if !ok {
		id, _ = in.RoomID.(string)
	}
	if !isUUID(id) {
		id = ""
	}
	return events.AIChatBotMessage{Text: "Your message was not accepted: " + e.Message + ".", ChatRoomID: id}
}
