package storetest

import (
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/store"
)

// propose makes the assistant propose something in a room, and returns it as it
// is stored.
func propose(t *testing.T, s store.Chats, a chat.Approval) chat.Approval {
	t.Helper()
	room := a.RoomID
	if _, err := s.Room(t.Context(), room); err != nil {
		check(t, s.CreateRoom(t.Context(), chat.Room{ID: room, Tenant: "acme", Owner: "ada", At: now}))
	}
	said, err := s.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, At: now}, 100)
	check(t, err)
	end := chat.Entry{Seq: said.Seq, Turn: said.Seq, Kind: chat.StreamEnd, Data: []byte(`{}`), At: now}
	answer, err := s.Answer(t.Context(), said, chat.Message{RoomID: room, Speaker: chat.Bot, At: now}, end, chat.Aftermath{Approvals: []chat.Approval{a}})
	check(t, err)
	a.Seq = answer.Seq
	return a
}

func pending(room, title string, proposed time.Time) chat.Approval {
	p := chat.Proposal{Tenant: "acme", Tool: "workflow_run", Title: title, Arguments: json.RawMessage(`{"n":1}`), Version: "v1"}
	return chat.Approval{
		Proposal: p, ID: uuid.NewString(), RoomID: room, Hash: chat.HashOf(p), ProposedAt: proposed, ExpiresAt: proposed.Add(time.Hour),
		Decision: chat.Decision{Status: chat.Pending},
	}
}

func approvals(t *testing.T, s store.Chats) {
	ctx := t.Context()
	room := uuid.NewString()
	old := propose(t, s, pending(room, "old", now.Add(-time.Minute)))
	want := propose(t, s, pending(room, "new", now))
	open := func(want ...chat.Approval) {
		t.Helper()
		got, err := s.OpenApprovals(ctx, room)
		check(t, err)
		same(t, got, want)
	}
	open(old, want)
	recent, err := s.RecentApprovals(ctx, room, 1)
	check(t, err)
	same(t, recent, []chat.Approval{want})
	overdue := func(at time.Time) bool {
		t.Helper()
		list, err := s.OverdueApprovals(ctx, at, 1000)
		check(t, err)
		return slices.ContainsFunc(list, func(a chat.Approval) bool { return a.ID == want.ID })
	}
	same(t, overdue(want.ExpiresAt.Add(-time.Microsecond)), false)
	same(t, overdue(want.ExpiresAt), true)
	_, err = s.Approval(ctx, uuid.NewString())
	is(t, err, chat.ErrNotFound)

	// Of many who decide one does.
	var all sync.WaitGroup
	var mu sync.Mutex
	decided := 0
	d := chat.Decision{Status: chat.Approved, By: "ada", Role: auth.Member, At: now, Owner: "one"}
	for range 8 {
		all.Go(func() {
			a, mine, err := s.DecideApproval(ctx, want.ID, d)
			mu.Lock()
			defer mu.Unlock()
			if check(t, err); mine {
				decided++
			}
			same(t, a.Decision, d)
		})
	}
	all.Wait()
	same(t, decided, 1)
	same(t, overdue(want.ExpiresAt), false)
	want.Decision = d
	open(old, want)

	// And of those who do it, the owner tells what came of it, once.
	o := chat.Outcome{OK: true, Text: "it ran", InstanceID: uuid.NewString()}
	is(t, s.FinishApproval(ctx, want.ID, "two", o), chat.ErrAnswered)
	is(t, s.FinishApproval(ctx, old.ID, "", o), chat.ErrAnswered)
	check(t, s.FinishApproval(ctx, want.ID, "one", o))
	is(t, s.FinishApproval(ctx, want.ID, "one", chat.Outcome{}), chat.ErrAnswered)
	want.Done, want.Outcome = true, o
	got, err := s.Approval(ctx, want.ID)
	check(t, err)
	same(t, got, want)
	open(old)

	d = chat.Decision{Status: chat.Invalid, At: now, Reason: "it has changed"}
	got, mine, err := s.DecideApproval(ctx, old.ID, d)
	check(t, err)
	same(t, mine, true)
	same(t, got.Decision, d)
	open()
}

// deeds are approved things that have an owner.
func deeds(t *testing.T, db *store.DB) {
	ctx, s := t.Context(), db.Chats()
	one, two := alive(t, db), alive(t, db)
	a := propose(t, s, pending(uuid.NewString(), "T", now))
	abandoned := func(owner string) bool {
		t.Helper()
		list, err := s.AbandonedApprovals(ctx, owner, 1000)
		check(t, err)
		return slices.ContainsFunc(list, func(found chat.Approval) bool { return found.ID == a.ID })
	}
	take := func(to string) bool {
		t.Helper()
		taken, err := s.TakeApproval(ctx, a, to)
		check(t, err)
		return taken
	}
	same(t, abandoned(two), false) // it is pending
	same(t, take(two), false)
	a, _, err := s.DecideApproval(ctx, a.ID, chat.Decision{Status: chat.Approved, By: "ada", At: now, Owner: one})
	check(t, err)
	same(t, abandoned(one), true)
	same(t, abandoned(two), false)
	same(t, take(two), false) // its owner is there
	check(t, db.Instances().Renew(ctx, one, -time.Millisecond))
	same(t, abandoned(two), true)
	same(t, take(two), true)
	same(t, take(uuid.NewString()), false)
	is(t, s.FinishApproval(ctx, a.ID, one, chat.Outcome{}), chat.ErrAnswered)
	check(t, s.FinishApproval(ctx, a.ID, two, chat.Outcome{Text: "done"}))
	same(t, abandoned(two), false)
	same(t, take(uuid.NewString()), false)
}
