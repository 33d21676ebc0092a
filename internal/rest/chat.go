package rest

import (
	"strconv"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
)

func (a *API) chatRoutes() {
	const base = "/api/v1/tenants/{tenant}/chat/rooms"
	a.handle("GET "+base, a.listRooms)
	a.handle("GET "+base+"/{id}", a.getRoom)
	a.handle("PATCH "+base+"/{id}", a.renameRoom)
	a.handle("DELETE "+base+"/{id}", a.deleteRoom)
	a.handle("GET "+base+"/{id}/messages", a.listMessages)
	a.handle("GET "+base+"/{id}/members", a.listMembers)
	a.handle("PUT "+base+"/{id}/members/{user}", a.addMember)
	a.handle("DELETE "+base+"/{id}/members/{user}", a.removeMember)
}

// roomBody is a conversation as clients get it.
type roomBody struct {
	ChatRoomID string    `json:"chatRoomID"`
	Title      string    `json:"title"`
	OwnerID    string    `json:"ownerID"`
	CreatedAt  time.Time `json:"createdAt"`
	ChangedAt  time.Time `json:"changedAt"`
}

func newRoomBody(r chat.Room) roomBody {
	return roomBody{r.ID, r.Title, r.Owner, r.At, r.ChangedAt}
}

// limit returns the parameter limit, from 1 to most.
func (r *request) limit(most int) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, events.FieldErrorf("limit", "is not between 1 and %d", most)
	}
	return n, nil
}

// listRooms returns the conversations that the caller takes part in.
func (a *API) listRooms(r *request) (any, error) {
	limit, err := r.limit(maxPage)
	if err != nil {
		return nil, err
	}
	rooms, next, err := a.opts.Chat.Rooms(r.Context(), r.id, r.tenant(), r.URL.Query().Get("cursor"), limit)
	list := make([]roomBody, len(rooms))
	for i := range rooms {
		list[i] = newRoomBody(rooms[i])
	}
	return struct {
		Rooms []roomBody `json:"rooms"`
		Next  string     `json:"next,omitempty"`
	}{list, next}, err
}

// room returns the conversation in the path, if it is the tenant's.
func (a *API) room(r *request) (chat.Room, error) {
	room, err := a.opts.Chat.Room(r.Context(), r.id, r.PathValue("id"))
	if err == nil && room.Tenant != r.tenant() {
		return chat.Room{}, events.NotFound("chat room", r.PathValue("id"))
	}
	return room, err
}

func (a *API) getRoom(r *request) (any, error) {
	room, err := a.room(r)
	return newRoomBody(room), err
}

func (a *API) renameRoom(r *request) (any, error) {
	room, err := a.room(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Title string `json:"title"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	room, err = a.opts.Chat.Rename(r.Context(), r.id, room, body.Title)
	return newRoomBody(room), err
}

func (a *API) deleteRoom(r *request) (any, error) {
	room, err := a.room(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"deleted": room.ID}, a.opts.Chat.Delete(r.Context(), r.id, room)
}

// maxMessages is how many messages a page has at most, as in ai_chat_history.
const maxMessages = 100

func (a *API) listMessages(r *request) (any, error) {
	limit, err := r.limit(maxMessages)
	if err != nil {
		return nil, err
	}
	var before uint64
	if text := r.URL.Query().Get("before"); text != "" {
		if before, err = strconv.ParseUint(text, 10, 63); err != nil || before == 0 {
			return nil, events.FieldErrorf("before", "is not the offset of a message")
		}
	}
	room, err := a.room(r)
	if err != nil {
		return nil, err
	}
	messages, more, err := a.opts.Chat.Before(r.Context(), room, before, limit)
	list := make([]events.AIChatMessage, len(messages))
	for i, m := range messages {
		list[i] = m.History()
	}
	return map[string]any{"messages": list, "more": more}, err
}

// memberBody is who takes part in a conversation.
type memberBody struct {
	UserID  string    `json:"userID"`
	Owner   bool      `json:"owner,omitempty"`
	AddedBy string    `json:"addedBy,omitempty"`
	At      time.Time `json:"at"`
}

func (a *API) listMembers(r *request) (any, error) {
	room, err := a.room(r)
	if err != nil {
		return nil, err
	}
	return a.members(r, room)
}

func (a *API) members(r *request, room chat.Room) (any, error) {
	members, err := a.opts.Chat.Members(r.Context(), room)
	list := make([]memberBody, len(members))
	for i, m := range members {
		list[i] = memberBody{m.User, m.User == room.Owner, m.AddedBy, m.At}
	}
	return map[string]any{"members": list}, err
}

func (a *API) addMember(r *request) (any, error) {
	room, err := a.room(r)
	if err != nil {
		return nil, err
	}
	if err := a.opts.Chat.AddMember(r.Context(), r.id, room, r.PathValue("user")); err != nil {
		return nil, err
	}
	return a.members(r, room)
}

func (a *API) removeMember(r *request) (any, error) {
	room, err := a.room(r)
	if err != nil {
		return nil, err
	}
	user := r.PathValue("user")
	return map[string]any{"removed": user}, a.opts.Chat.RemoveMember(r.Context(), r.id, room, user)
}
