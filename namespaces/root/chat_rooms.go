package root

import (
	"context"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/namespaces"
)

type chatHistory struct {
	ChatRoomID string `json:"chatRoomID"`
	Before     uint64 `json:"before,omitempty"` // an offset; 0 for the latest
	Limit      int    `json:"limit,omitempty"`
	FirebaseID string `json:"firebaseID,omitempty"`
}

type chatPage struct {
	Messages []events.AIChatMessage `json:"messages"`
	More     bool                   `json:"more"` // there are others before
}

// How many messages come to who does not say, and at most.
const (
	defaultHistory = 50
	maxHistory     = 100
)

// history returns what was said earlier.
func (a *aiChat) history(ctx context.Context, s namespaces.Session, in chatHistory) (chatPage, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return chatPage{}, err
	}
	room, err := a.chat.Room(ctx, s.Identity(), in.ChatRoomID)
	if err != nil {
		return chatPage{}, err
	}
	switch {
	case in.Limit == 0:
		in.Limit = defaultHistory
	case in.Limit < 0 || in.Limit > maxHistory:
		return chatPage{}, events.FieldErrorf("limit", "is not between 1 and %d", maxHistory)
	}
	messages, more, err := a.chat.Before(ctx, room, in.Before, in.Limit)
	return chatPage{histories(messages), more}, err
}

func histories(messages []chat.Message) []events.AIChatMessage {
	all := make([]events.AIChatMessage, len(messages))
	for i, m := range messages {
		all[i] = m.History()
	}
	return all
}

// leave takes a session out of a conversation.
func (a *aiChat) leave(s namespaces.Session, room events.Room) {
	for _, r := range []events.Room{room, events.ChatStreamRoom(string(room))} {
		s.Leave(r)
		a.followed.drop(s, r)
	}
	a.left(s, room)
}

// mayStay refuses a session that has just come into a conversation, and takes
// it out again, if it may not be there any more: it may have come while its
// user was removed.
func (a *aiChat) mayStay(ctx context.Context, s namespaces.Session, roomID string) error {
	_, err := a.chat.Room(ctx, s.Identity(), roomID)
	if err != nil {
		a.leave(s, events.ChatRoom(roomID))
	}
	return err
}

// changed takes those out of conversations who may not be there any more, and
// tells them. Who cannot be judged leaves the conversation that has changed; it
// can be joined again.
func (a *aiChat) changed(ctx context.Context, c chat.Change) {
	for s, rooms := range a.sessions(c.RoomID) {
		for _, room := range rooms {
			_, err := a.chat.Room(ctx, s.Identity(), string(room))
			if err == nil || unlessNotFound(err) != nil && c.RoomID == "" {
				continue
			}
			a.leave(s, room)
			s.Emit(events.AIChatRoomUpdated{ChatRoomID: string(room), Deleted: c.Deleted, Removed: !c.Deleted})
		}
	}
}

// sessions returns who is in a conversation, or in any, and in which.
func (a *aiChat) sessions(roomID string) map[namespaces.Session][]events.Room {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[namespaces.Session][]events.Room)
	for s, rooms := range a.joined {
		for room := range rooms {
			if roomID == "" || room == events.ChatRoom(roomID) {
				all[s] = append(all[s], room)
			}
		}
	}
	return all
}
