package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/instances"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// alive registers an instance that is there for the whole test.
func alive(t *testing.T, db *store.DB) string {
	t.Helper()
	id := uuid.NewString()
	check(t, db.Instances().Register(t.Context(), id, time.Hour))
	return id
}

func registered(t *testing.T, s store.Instances) {
	ctx := t.Context()
	stays, leaves, silent := uuid.NewString(), uuid.NewString(), uuid.NewString()
	check(t, s.Register(ctx, stays, time.Hour))
	check(t, s.Register(ctx, leaves, time.Hour))
	check(t, s.Register(ctx, silent, -time.Millisecond))
	if s.Register(ctx, stays, time.Hour) == nil {
		t.Error("the same instance was registered twice")
	}
	check(t, s.Remove(ctx, leaves))
	there := func() []string {
		t.Helper()
		all, err := s.Alive(ctx)
		check(t, err)
		return slices.DeleteFunc(all, func(id string) bool { return id != stays && id != leaves && id != silent })
	}
	same(t, there(), []string{stays})
	// Who is late is there again if nobody has noticed.
	check(t, s.Renew(ctx, silent, time.Hour))
	same(t, len(there()), 2)
	if left, any, err := s.NextExpiry(ctx); err != nil || !any || left <= 0 || left > time.Hour {
		t.Errorf("the next expires in %v, %v, %v", left, any, err)
	}
	check(t, s.Renew(ctx, silent, -time.Millisecond))
	gone, err := s.RemoveSilent(ctx)
	check(t, err)
	if !slices.Contains(gone, silent) || slices.Contains(gone, stays) {
		t.Errorf("removed %v", gone)
	}
	is(t, s.Renew(ctx, silent, time.Hour), instances.ErrGone)
	is(t, s.Renew(ctx, leaves, time.Hour), instances.ErrGone)
	check(t, s.RemoveAll(ctx))
	same(t, len(there()), 0)
}

func ownedRuns(t *testing.T, db *store.DB) {
	ctx, s := t.Context(), db.Workflows()
	one, two := alive(t, db), alive(t, db)
	stored := func(owner string) workflow.Run {
		r := newRun("acme", owner)
		check(t, write(t, s, creation(r)))
		return r
	}
	dispatch := func(r workflow.Run, owner string) error {
		r.Owner = owner
		return write(t, s, addition(r, entry(2, interpreter.NodeDispatched, "")))
	}
	abandoned := func(id string) bool {
		runs, err := s.AbandonedRuns(ctx, 1000)
		check(t, err)
		return slices.ContainsFunc(runs, func(r workflow.Run) bool { return r.ID == id })
	}
	take := func(id, from, to string, want bool) {
		t.Helper()
		got, err := s.TakeRun(ctx, id, from, to)
		check(t, err)
		same(t, got, want)
	}
	r := stored(one)
	// A live owner is never robbed.
	same(t, abandoned(r.ID), false)
	take(r.ID, one, two, false)
	is(t, dispatch(r, two), workflow.ErrLost)
	// One whose time is over is, and cannot come back.
	check(t, db.Instances().Renew(ctx, one, -time.Millisecond))
	same(t, abandoned(r.ID), true)
	take(r.ID, "another", two, false)
	take(r.ID, one, two, true)
	take(r.ID, one, two, false)
	is(t, db.Instances().Renew(ctx, one, time.Hour), instances.ErrGone)
	gone, err := db.Instances().RemoveSilent(ctx)
	check(t, err)
	if !slices.Contains(gone, one) {
		t.Errorf("removed %v", gone)
	}
	is(t, dispatch(r, one), workflow.ErrLost)
	check(t, dispatch(r, two))
	log, err := s.Log(ctx, r.ID, 1)
	check(t, err)
	same(t, len(log), 1)
	// What is released may be taken at once; what is over never.
	ended := stored(two)
	check(t, write(t, s, addition(ended, entry(2, interpreter.RunEnded, completed))))
	check(t, s.ReleaseRuns(ctx, two))
	three := alive(t, db)
	same(t, abandoned(r.ID), true)
	take(r.ID, "", three, true)
	take(ended.ID, two, three, false)
	same(t, abandoned(ended.ID), false)
	got, err := s.Run(ctx, r.ID)
	check(t, err)
	same(t, got.Owner, three)
}

func requests(t *testing.T, s store.Workflows) {
	ctx := t.Context()
	tenant, id := uuid.NewString(), uuid.NewString()
	r := newRun(tenant, "one")
	asks := entry(2, interpreter.NodeSuspended, `{}`)
	asks.Request = id
	check(t, write(t, s, creation(r, asks)))
	r.Status = events.RunRunning
	got, err := s.RunOfRequest(ctx, tenant, id)
	check(t, err)
	same(t, got, r)
	for _, of := range [][2]string{{"other", id}, {tenant, uuid.NewString()}, {tenant, ""}} {
		_, err := s.RunOfRequest(ctx, of[0], of[1])
		is(t, err, workflow.ErrNotFound)
	}
}

func answers(t *testing.T, db *store.DB) {
	ctx, s := t.Context(), db.Chats()
	one, two := alive(t, db), alive(t, db)
	room := newChat(t, s)
	say := func(owner string) chat.Message {
		m, err := s.Append(ctx, chat.Message{RoomID: room, Speaker: chat.User, User: "ada", Text: "?", At: now, Owner: owner}, 100)
		check(t, err)
		return m
	}
	var head uint64
	answer := func(to chat.Message) (chat.Message, error) {
		head++
		return s.Answer(ctx, to, chat.Message{RoomID: room, Speaker: chat.Bot, Text: "!", At: now}, chat.Entry{Seq: head, Turn: to.Seq, Kind: chat.StreamEnd, At: now}, chat.Aftermath{})
	}
	abandoned := func() (seqs []uint64) {
		all, err := s.Abandoned(ctx, 1000)
		check(t, err)
		for _, m := range all {
			if m.RoomID == room {
				seqs = append(seqs, m.Seq)
			}
		}
		return seqs
	}
	first, second, third := say(one), say(one), say(two)
	given, err := answer(second)
	check(t, err)
	same(t, given.Seq, uint64(4))
	// Who did not hear of it and tries again gets the same answer.
	given, err = answer(second)
	check(t, err)
	same(t, given.Seq, uint64(4))
	same(t, len(abandoned()), 0)
	taken, err := s.Take(ctx, first, two)
	check(t, err)
	same(t, taken, false)

	check(t, db.Instances().Remove(ctx, one))
	same(t, abandoned(), []uint64{1})
	taken, err = s.Take(ctx, first, two)
	check(t, err)
	same(t, taken, true)
	taken, err = s.Take(ctx, second, two) // has an answer
	check(t, err)
	same(t, taken, false)
	_, err = answer(first)
	is(t, err, chat.ErrAnswered)
	_, _, err = s.BeginTurn(ctx, second, chat.Entry{Turn: second.Seq, Kind: chat.StreamStart, At: now}) // it would never end
	is(t, err, chat.ErrAnswered)
	first.Owner = two
	for _, m := range []chat.Message{first, third} {
		_, err = answer(m)
		check(t, err)
	}
	same(t, len(abandoned()), 0)
	// A piece of who has lost a turn is refused, whatever comes with it.
	begun := say(two)
	head, _, err = s.BeginTurn(ctx, begun, chat.Entry{Turn: begun.Seq, Kind: chat.StreamStart, At: now})
	check(t, err)
	piece := func(owner string, seq uint64) chat.Piece {
		return chat.Piece{RoomID: room, Owner: owner, Entry: chat.Entry{Seq: seq, Turn: begun.Seq, Kind: chat.Delta, Data: []byte(`{}`), At: now}}
	}
	refused, err := s.AddToStream(ctx, []chat.Piece{piece(one, head+2), piece(two, head+1)})
	check(t, err)
	is(t, refused[0], chat.ErrAnswered)
	check(t, refused[1])
	// One that was stored, and whose server did not hear so, comes again.
	refused, err = s.AddToStream(ctx, []chat.Piece{piece(two, head+1), piece(two, head+2)})
	check(t, err)
	check(t, errors.Join(refused...))
	stored, err := s.Stream(ctx, room, head, head+9)
	check(t, err)
	same(t, len(stored), 2)
	head += 2
	_, err = s.StopTurns(ctx, room)
	check(t, err)
	refused, err = s.AddToStream(ctx, []chat.Piece{piece(two, head+1)})
	check(t, err)
	is(t, refused[0], chat.ErrStopped)
	head++
	stored, err = s.Stream(ctx, room, head-1, head)
	check(t, err)
	same(t, len(stored), 1)
	_, err = answer(begun)
	check(t, err)
	_, err = answer(chat.Message{RoomID: room, Seq: 99, Owner: two})
	is(t, err, chat.ErrNotFound)
	all, err := s.Messages(ctx, room, 0, 10)
	check(t, err)
	same(t, len(all), 8)
}

// takeovers makes both take the same runs and messages of a dead owner: each
// goes to one.
func takeovers(t *testing.T, a, b *store.DB) {
	const n = 20
	dead, room := uuid.NewString(), newChat(t, a.Chats())
	check(t, a.Instances().Register(t.Context(), dead, -time.Millisecond))
	var runs []string
	var messages []chat.Message
	for range n {
		r := newRun("acme", dead)
		check(t, write(t, a.Workflows(), creation(r)))
		runs = append(runs, r.ID)
		m, err := a.Chats().Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, At: now, Owner: dead}, 100)
		check(t, err)
		messages = append(messages, m)
	}
	var taken atomic.Int32
	both(2, a, b, func(db *store.DB) {
		me := uuid.NewString()
		for i := range n {
			for _, take := range []func() (bool, error){
				func() (bool, error) { return db.Workflows().TakeRun(t.Context(), runs[i], dead, me) },
				func() (bool, error) { return db.Chats().Take(t.Context(), messages[i], me) },
			} {
				ok, err := take()
				if err != nil {
					t.Error(err)
				}
				if ok {
					taken.Add(1)
				}
			}
		}
	})
	same(t, taken.Load(), int32(2*n))
}
