package root

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

// echo is an assistant that repeats what it hears.
type echo struct{}

func (echo) Reply(_ context.Context, t chat.Turn, _ chat.Out) (chat.Reply, error) {
	return chat.Reply{Text: t.Message.Text}, nil
}

// chatter is a session that keeps what the bot says.
type chatter struct {
	hearer
	id    *auth.Identity
	table *rooms.Table[*chatter]
	said  []string
}

func (c *chatter) Identity() *auth.Identity { return c.id }
func (c *chatter) Leave(room events.Room)   { c.table.Leave(string(room), c) }
func (c *chatter) Follow(room events.Room, since uint64, snapshot func(uint64) (uint64, error)) error {
	return c.table.Follow(string(room), c, since, snapshot)
}

// Publish implements [chat.Publisher].
func (c *chatter) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	c.table.Publish(string(room), rooms.Numbered(pos.Offset, func(c *chatter) { c.heard(p) }))
	return nil
}

func (c *chatter) heard(p events.Payload) {
	if m, ok := p.(events.AIChatBotMessage); ok {
		c.said = append(c.said, m.Text)
	}
}

// Who says something hears one answer, whether it joined before, was in the
// room and left, or only knows its id from another session.
func TestAMessageWithoutJoiningIsAnswered(t *testing.T) {
	db := sqlitetest.Open(t)
	ada := &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	c := &chatter{id: ada, table: rooms.New(rooms.Options[*chatter]{})}
	svc := chat.NewService(chat.Options{Store: db.Chats(), Publisher: c, Assistant: echo{}, Logger: slog.New(slog.DiscardHandler)})
	a := newAIChat(svc, nil, "e", newFollowed())
	room, err := svc.Open(t.Context(), ada, "")
	if err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		t.Helper()
		if _, err := a.message(t.Context(), c, chatMessage{Message: chatText{Text: text}, ChatRoomID: room.ID}); err != nil {
			t.Fatal(err)
		}
	}
	say("never joined")
	say("again")
	if _, err := a.join(t.Context(), c, chatJoin{ChatRoomID: room.ID}); err != nil {
		t.Fatal(err)
	}
	say("joined")
	foreign := &chatter{id: &auth.Identity{User: "eve", Tenants: ada.Tenants}, table: c.table}
	if _, err := a.message(t.Context(), foreign, chatMessage{Message: chatText{Text: "x"}, ChatRoomID: room.ID}); err == nil {
		t.Error("somebody else may say something")
	}
	if in := c.table.Members(room.ID); len(in) != 1 {
		t.Errorf("%d sessions are in the room", len(in))
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(c.said) != 3 || c.said[0] != "never joined" || c.said[1] != "again" || c.said[2] != "joined" || len(foreign.said) != 0 {
		t.Errorf("the bot said %q", c.said)
	}
}

// What was said while a client was away comes when it joins again
// with what it has, once, and before what is said then.
func TestJoinAConversationSince(t *testing.T) {
	db := sqlitetest.Open(t)
	m := &member{hall: &hall{t: t, table: rooms.New(rooms.Options[*member]{})}}
	m.id = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	svc := chat.NewService(chat.Options{Store: db.Chats(), Publisher: m, Assistant: echo{}, Logger: slog.New(slog.DiscardHandler)})
	a := newAIChat(svc, nil, "e1", newFollowed())
	room, err := svc.Open(t.Context(), m.id, "")
	if err != nil {
		t.Fatal(err)
	}
	say := func(n int) { // and wait for the answer, so that the numbers are known
		t.Helper()
		for range n {
			before, _ := svc.Heads(t.Context(), []string{room.ID})
			if _, err := svc.Say(t.Context(), m.id, room.ID, chat.Words{Text: "x"}); err != nil {
				t.Fatal(err)
			}
			eventually.True(t, func() bool {
				now, err := svc.Heads(t.Context(), []string{room.ID})
				return err == nil && now[room.ID] == before[room.ID]+2
			})
		}
	}
	enter := func(since *events.Since, want string) {
		t.Helper()
		m.got = nil
		out, err := a.join(t.Context(), m, chatJoin{ChatRoomID: room.ID, Since: since})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(m.got[1:], out.Recovered, out.Offset, len(out.Messages)); got != want {
			t.Errorf("since %+v: got %s, want %s", since, got, want)
		}
		if _, err := a.disconnect(t.Context(), m, chatDisconnect{}); err != nil {
			t.Fatal(err)
		}
	}
	say(3) // answered by 2, 4 and 6
	enter(nil, "[] false 6 6")
	enter(&events.Since{Epoch: "e1", Offset: 6}, "[] true 6 6")
	enter(&events.Since{Epoch: "e1", Offset: 3}, "[4 5 6] true 6 6")
	enter(&events.Since{Epoch: "e1", Offset: 0}, "[1 2 3 4 5 6] true 6 6")
	enter(&events.Since{Epoch: "e0", Offset: 3}, "[gap 0-0 1 2 3 4 5 6] false 6 6")
	enter(&events.Since{Epoch: "e1", Offset: 9}, "[gap 7-9] false 6 6")
	if err := svc.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// pages is a store that notes how many messages are read at once.
type pages struct {
	chat.Store
	most int
}

func (s *pages) MessagesSince(ctx context.Context, roomID string, after, until uint64, limit int) ([]chat.Message, error) {
	all, err := s.Store.MessagesSince(ctx, roomID, after, until, limit)
	s.most = max(s.most, len(all))
	return all, err
}

// A long conversation is read a page at a time, as its client takes it.
func TestJoinALongConversation(t *testing.T) {
	db := sqlitetest.Open(t)
	m := &member{hall: &hall{t: t, table: rooms.New(rooms.Options[*member]{})}}
	m.id = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	read := &pages{Store: db.Chats()}
	svc := chat.NewService(chat.Options{Store: read, Publisher: m, Assistant: echo{}, Logger: slog.New(slog.DiscardHandler)})
	a := newAIChat(svc, nil, "e1", newFollowed())
	room, err := svc.Open(t.Context(), m.id, "")
	if err != nil {
		t.Fatal(err)
	}
	const n = 200
	for range n {
		if _, err := read.Append(t.Context(), chat.Message{RoomID: room.ID, Speaker: chat.Bot, Text: "x"}, n); err != nil {
			t.Fatal(err)
		}
	}
	m.got = nil
	out, err := a.join(t.Context(), m, chatJoin{ChatRoomID: room.ID, Since: &events.Since{Epoch: "e1"}})
	if err != nil || len(m.got) != n+1 || out.Offset != n {
		t.Errorf("got %d events up to %d, %v", len(m.got)-1, out.Offset, err)
	}
	if read.most > 64 {
		t.Errorf("%d messages were read at once", read.most)
	}
}

// Publish implements [chat.Publisher].
func (m *member) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	m.hall.table.Publish(string(room), rooms.Numbered(pos.Offset, func(m *member) { m.Emit(events.Numbered{Payload: p, Offset: pos.Offset}) }))
	return nil
}

// A join that is repeated on another connection asks for the same as the first.
func TestJoinAgain(t *testing.T) {
	db := sqlitetest.Open(t)
	h := &hall{t: t, table: rooms.New(rooms.Options[*member]{})}
	ada := &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	one, two := &member{hall: h}, &member{hall: h}
	one.id, two.id = ada, ada
	svc := chat.NewService(chat.Options{Store: db.Chats(), Publisher: one, Assistant: echo{}, Logger: slog.New(slog.DiscardHandler)})
	a := newAIChat(svc, nil, "e1", newFollowed())
	in := chatJoin{Stream: true}
	first, err := a.join(t.Context(), one, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.joinAgain(t.Context(), two, in, first); err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{first.ChatRoomID, "chat_stream:" + first.ChatRoomID} {
		if in := h.table.Members(room); len(in) != 2 {
			t.Errorf("%d sessions are in %s", len(in), room)
		}
	}
}

// Who is removed from a conversation leaves it, and is told; others stay.
func TestWhoIsRemovedLeaves(t *testing.T) {
	db := sqlitetest.Open(t)
	h := &hall{t: t, table: rooms.New(rooms.Options[*member]{})}
	of := func(user string) *member {
		m := &member{hall: h}
		m.id = &auth.Identity{User: user, Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
		return m
	}
	ada, bob, bobToo := of("ada"), of("bob"), of("bob")
	svc := chat.NewService(chat.Options{Store: db.Chats(), Publisher: ada, Assistant: echo{}, Logger: slog.New(slog.DiscardHandler)})
	a := newAIChat(svc, nil, "e1", newFollowed())
	svc.OnChange(a.changed)
	room, err := svc.Open(t.Context(), ada.id, "")
	if err != nil {
		t.Fatal(err)
	}
	enter := func(m *member) error {
		_, err := a.join(t.Context(), m, chatJoin{ChatRoomID: room.ID, Stream: true})
		return err
	}
	if enter(bob) == nil {
		t.Error("bob was let in by nobody")
	}
	if err := svc.AddMember(t.Context(), ada.id, room, "bob"); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{ada, bob, bobToo} {
		if err := enter(m); err != nil {
			t.Fatal(err)
		}
	}
	bob.got, bobToo.got = nil, nil
	if err := svc.RemoveMember(t.Context(), ada.id, room, "bob"); err != nil {
		t.Fatal(err)
	}
	if len(bob.got) != 1 || len(bobToo.got) != 1 {
		t.Errorf("bob got %v and %v", bob.got, bobToo.got)
	}
	// One that comes back at that moment is not known yet when the others leave.
	back := of("bob")
	for _, name := range []events.Room{events.ChatRoom(room.ID), events.ChatStreamRoom(room.ID)} {
		back.Join(name)
	}
	a.restore(t.Context(), back, []events.Room{events.ChatRoom(room.ID)})
	if len(back.got) != 1 || a.isIn(back, events.ChatRoom(room.ID)) {
		t.Errorf("who came back got %v", back.got)
	}
	for _, name := range []string{room.ID, "chat_stream:" + room.ID} {
		if in := h.table.Members(name); len(in) != 1 || in[0] != ada {
			t.Errorf("%d are in %s", len(in), name)
		}
	}
	if a.isIn(bob, events.ChatRoom(room.ID)) || !a.isIn(ada, events.ChatRoom(room.ID)) {
		t.Error("it is not known who is there")
	}
	if err := svc.Delete(t.Context(), ada.id, room); err != nil {
		t.Fatal(err)
	}
	if in := h.table.Members(room.ID); len(in) != 0 || enter(ada) == nil {
		t.Error("the room is still there")
	}
}
