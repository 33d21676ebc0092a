package storetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/store"
)

// chatMembers checks who takes part in a room, and what the room is called.
func chatMembers(t *testing.T, s store.Chats) {
	ctx := t.Context()
	r := chat.Room{ID: uuid.NewString(), Tenant: "acme", Owner: "ada", At: now, ChangedAt: now}
	check(t, s.CreateRoom(ctx, r))
	bob := chat.Member{RoomID: r.ID, User: "bob", AddedBy: "ada", At: now}
	for _, want := range []bool{true, false} {
		added, err := s.AddMember(ctx, bob)
		check(t, err)
		same(t, added, want)
	}
	_, err := s.AddMember(ctx, chat.Member{RoomID: "nothing", User: "bob", At: now})
	is(t, err, chat.ErrNotFound)
	cid := chat.Member{RoomID: r.ID, User: "cid", AddedBy: "ada", At: now.Add(time.Second)}
	_, err = s.AddMember(ctx, cid)
	check(t, err)
	members, err := s.Members(ctx, r.ID)
	check(t, err)
	same(t, members, []chat.Member{bob, cid})
	for _, want := range []bool{true, false} {
		removed, err := s.RemoveMember(ctx, r.ID, "bob")
		check(t, err)
		same(t, removed, want)
	}
	for user, want := range map[string]bool{"bob": false, "cid": true} {
		member, err := s.IsMember(ctx, r.ID, user)
		check(t, err)
		same(t, member, want)
	}

	for _, want := range []bool{true, false} {
		named, err := s.NameRoom(ctx, r.ID, fmt.Sprint("said ", want))
		check(t, err)
		same(t, named, want)
	}
	got, err := s.Room(ctx, r.ID)
	check(t, err)
	same(t, got.Title, "said true")
	check(t, s.SetTitle(ctx, r.ID, "given"))
	is(t, s.SetTitle(ctx, "nothing", "given"), chat.ErrNotFound)
	got, err = s.Room(ctx, r.ID)
	check(t, err)
	same(t, got.Title, "given")
}

// chatCursors checks how far users are known to have been brought in a room, and
// their clients that have gone.
func chatCursors(t *testing.T, s store.Chats) {
	ctx := t.Context()
	r := chat.Room{ID: uuid.NewString(), Tenant: "acme", Owner: "ada", At: now, ChangedAt: now}
	check(t, s.CreateRoom(ctx, r))
	at := func(want uint64, wantKnown bool) {
		t.Helper()
		seq, known, err := s.Cursor(ctx, r.ID, "ada")
		check(t, err)
		same(t, []any{seq, known}, []any{want, wantKnown})
	}
	at(0, false)
	for _, seq := range []uint64{0, 7, 5} { // never back
		check(t, s.MoveCursor(ctx, r.ID, "ada", seq))
	}
	at(7, true)

	returns := func(user string, want uint64, wantFound bool) {
		t.Helper()
		seq, found, err := s.Return(ctx, r.ID, user, now)
		check(t, err)
		same(t, []any{seq, found}, []any{want, wantFound})
	}
	returns("ada", 0, false)
	for seq, gone := range map[uint64]time.Time{1: now.Add(-time.Second), 3: now, 5: now, 7: now} {
		check(t, s.Depart(ctx, r.ID, "ada", seq, gone))
	}
	check(t, s.Depart(ctx, r.ID, "bob", 2, now))
	for range 3 { // whoever has got least may be the last to come
		returns("ada", 3, true)
	}
	returns("ada", 0, false)
	returns("bob", 2, true)

	check(t, s.Depart(ctx, r.ID, "ada", 3, now))
	_, err := s.DeleteRoom(ctx, r.ID)
	check(t, err)
	check(t, s.MoveCursor(ctx, r.ID, "ada", 8)) // of what was sent before
	check(t, s.Depart(ctx, r.ID, "bob", 8, now))
	check(t, s.CreateRoom(ctx, r))
	at(0, false)
	returns("ada", 0, false)
	returns("bob", 0, false)
}

// chatList checks that the rooms of a user are listed, a page after the other,
// without gap or repetition.
func chatList(t *testing.T, s store.Chats) {
	ctx := t.Context()
	tenant, user := uuid.NewString(), uuid.NewString()
	var want []string
	for i := range 7 {
		at := now.Add(-time.Duration(i/2) * time.Minute) // some at the same time
		r := chat.Room{ID: fmt.Sprintf("%s-%d", user, 9-i), Tenant: tenant, Owner: user, At: at, ChangedAt: at}
		if i%3 == 1 { // another's
			r.Owner = "ada"
		}
		check(t, s.CreateRoom(ctx, r))
		if i == 4 { // and not let in
			continue
		}
		if r.Owner == "ada" {
			_, err := s.AddMember(ctx, chat.Member{RoomID: r.ID, User: user, AddedBy: "ada", At: now})
			check(t, err)
		}
		want = append(want, r.ID)
	}
	check(t, s.CreateRoom(ctx, chat.Room{ID: uuid.NewString(), Tenant: "other", Owner: user, At: now, ChangedAt: now}))
	var got []string
	var last chat.Room
	for {
		page, err := s.RoomsOf(ctx, tenant, user, last, 2)
		check(t, err)
		for _, r := range page {
			got = append(got, r.ID)
			last = r
		}
		if len(page) < 2 {
			break
		}
	}
	same(t, got, want)
	_, err := s.Append(ctx, chat.Message{RoomID: want[5], Speaker: chat.User, At: now.Add(time.Hour)}, 100)
	check(t, err)
	page, err := s.RoomsOf(ctx, tenant, user, chat.Room{}, 1)
	check(t, err)
	same(t, page[0].ID, want[5])
	same(t, page[0].ChangedAt, now.Add(time.Hour))
}

// chatDeletion checks that nothing is left of a room, whatever goes on in it.
func chatDeletion(t *testing.T, s store.Chats) {
	ctx := t.Context()
	room := uuid.NewString()
	propose(t, s, pending(room, "something", now))
	_, err := s.AddMember(ctx, chat.Member{RoomID: room, User: "bob", At: now})
	check(t, err)
	said, err := s.Append(ctx, chat.Message{RoomID: room, Speaker: chat.User, User: "ada", Text: "go", At: now, Owner: "me"}, 100)
	check(t, err)
	waiting, err := s.Append(ctx, chat.Message{RoomID: room, Speaker: chat.User, User: "ada", Text: "more", At: now, Owner: "me"}, 100)
	check(t, err)
	head, _, err := s.BeginTurn(ctx, said, chat.Entry{Turn: said.Seq, Kind: chat.StreamStart, Data: json.RawMessage(`{}`), At: now})
	check(t, err)

	answering, err := s.DeleteRoom(ctx, room)
	check(t, err)
	same(t, answering, said)
	_, err = s.DeleteRoom(ctx, room)
	is(t, err, chat.ErrNotFound)

	refused, err := s.AddToStream(ctx, []chat.Piece{{RoomID: room, Owner: "me", Entry: chat.Entry{Seq: head + 1, Turn: said.Seq, Kind: chat.Delta, Data: json.RawMessage(`{}`), At: now}}})
	check(t, err)
	is(t, refused[0], chat.ErrAnswered)
	_, err = s.Answer(ctx, said, chat.Message{RoomID: room, Speaker: chat.Bot, At: now}, chat.Entry{Seq: head + 1, Turn: said.Seq, Kind: chat.StreamEnd, Data: json.RawMessage(`{}`), At: now}, chat.Aftermath{})
	is(t, err, chat.ErrNotFound)
	_, _, err = s.BeginTurn(ctx, waiting, chat.Entry{Turn: waiting.Seq, Kind: chat.StreamStart, Data: json.RawMessage(`{}`), At: now})
	is(t, err, chat.ErrNotFound)
	_, err = s.Append(ctx, chat.Message{RoomID: room, Speaker: chat.User, At: now}, 100)
	is(t, err, chat.ErrNotFound)
	_, err = s.Room(ctx, room)
	is(t, err, chat.ErrNotFound)
	open, err := s.OpenApprovals(ctx, room)
	check(t, err)
	same(t, len(open), 0)
	messages, err := s.Messages(ctx, room, 0, 10)
	check(t, err)
	entries, err := s.Stream(ctx, room, 0, 1000)
	check(t, err)
	members, err := s.Members(ctx, room)
	check(t, err)
	same(t, len(messages)+len(entries)+len(members), 0)

	// A room in which nothing is answered has nobody to be told.
	check(t, s.CreateRoom(ctx, chat.Room{ID: room, Owner: "ada", At: now, ChangedAt: now}))
	answering, err = s.DeleteRoom(ctx, room)
	check(t, err)
	same(t, answering, chat.Message{})
}
