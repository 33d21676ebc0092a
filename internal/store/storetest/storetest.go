// Package storetest is the suite that every database must pass.
package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Run runs the suite against an empty database.
func Run(t *testing.T, db *store.DB) {
	t.Run("workflows", func(t *testing.T) { workflows(t, db.Workflows()) })
	t.Run("runs", func(t *testing.T) { runs(t, db.Workflows()) })
	t.Run("run writes", func(t *testing.T) { writes(t, db.Workflows()) })
	t.Run("repeated run writes", func(t *testing.T) { repeated(t, db.Workflows()) })
	t.Run("definitions", func(t *testing.T) { definitions(t, db.Workflows()) })
	t.Run("chats", func(t *testing.T) { chats(t, db.Chats()) })
	t.Run("chat members", func(t *testing.T) { chatMembers(t, db.Chats()) })
	t.Run("chat cursors", func(t *testing.T) { chatCursors(t, db.Chats()) })
	t.Run("chat list", func(t *testing.T) { chatList(t, db.Chats()) })
	t.Run("chat deletion", func(t *testing.T) { chatDeletion(t, db.Chats()) })
	t.Run("approvals", func(t *testing.T) { approvals(t, db.Chats()) })
	t.Run("usage", func(t *testing.T) { usage(t, db.Chats()) })
	t.Run("deeds", func(t *testing.T) { deeds(t, db) })
	t.Run("widgets", func(t *testing.T) { widgets(t, db.Widgets()) })
	t.Run("listeners", func(t *testing.T) { listeners(t, db.Listeners()) })
	t.Run("keys", func(t *testing.T) { keys(t, db.Identity()) })
	t.Run("revocations", func(t *testing.T) { revocations(t, db.Identity()) })
	t.Run("history", func(t *testing.T) { histories(t, db.History()) })
	t.Run("history writers", func(t *testing.T) { historyWriters(t, db.History()) })
	t.Run("history keys", func(t *testing.T) { historyKeys(t, db.History()) })
	t.Run("history trimming", func(t *testing.T) { historyTrimming(t, db.History()) })
	t.Run("once", func(t *testing.T) { claims(t, db.Once()) })
	t.Run("writers", func(t *testing.T) { writers(t, db) })
	t.Run("instances", func(t *testing.T) { registered(t, db.Instances()) })
	t.Run("owned runs", func(t *testing.T) { ownedRuns(t, db) })
	t.Run("requests", func(t *testing.T) { requests(t, db.Workflows()) })
	t.Run("answers", func(t *testing.T) { answers(t, db) })
	t.Run("meetings", func(t *testing.T) { meetings(t, db) })
	t.Run("accounts", func(t *testing.T) { accountRows(t, db.Accounts()) })
	t.Run("account turns", func(t *testing.T) { accountTurns(t, db) })
	t.Run("texts", func(t *testing.T) { texts(t, db) })
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

var now = time.Date(2026, 1, 2, 15, 4, 5, 123456000, time.UTC)

func plan() *graph.Plan {
	return graph.NewPlan(graph.Definition{
		Nodes: []graph.Node{{ID: "s", Type: "start", Position: json.RawMessage(`{"x":1}`), Data: map[string]any{"title": "Début ☕"}}},
		Edges: []graph.Edge{{ID: "e", Source: "s", Target: "s", SourceHandle: "output"}},
	})
}

func workflows(t *testing.T, s store.Workflows) {
	ctx := t.Context()
	tenant := uuid.NewString()
	w := workflow.Workflow{ID: uuid.NewString(), Tenant: tenant, Title: "B", Plan: plan(), CreatedBy: "ada", CreatedAt: now, UpdatedAt: now}
	check(t, s.CreateWorkflow(ctx, w))
	if s.CreateWorkflow(ctx, w) == nil {
		t.Error("the same id was stored twice")
	}
	got, err := s.Workflow(ctx, w.ID)
	check(t, err)
	same(t, got, w)
	first := w
	first.ID, first.Title = uuid.NewString(), "A"
	check(t, s.CreateWorkflow(ctx, first))
	all, err := s.Workflows(ctx, tenant)
	check(t, err)
	same(t, all, []workflow.Workflow{first, w})
	own := w
	own.ID, own.ExternalID, own.Title = uuid.NewString(), "wf-123", "D"
	check(t, s.CreateWorkflow(ctx, own))
	got, err = s.Workflow(ctx, own.ID)
	check(t, err)
	same(t, got, own)
	w.Title, w.UpdatedAt = "C", now.Add(time.Hour)
	check(t, s.UpdateWorkflow(ctx, w))
	got, err = s.Workflow(ctx, w.ID)
	check(t, err)
	same(t, got, w)
	check(t, s.DeleteWorkflow(ctx, w.ID))
	is(t, s.DeleteWorkflow(ctx, w.ID), workflow.ErrNotFound)
	is(t, s.UpdateWorkflow(ctx, w), workflow.ErrNotFound)
	_, err = s.Workflow(ctx, w.ID)
	is(t, err, workflow.ErrNotFound)
}

func chats(t *testing.T, s store.Chats) {
	ctx := t.Context()
	r := chat.Room{ID: uuid.NewString(), Owner: "ada", At: now, ChangedAt: now}
	check(t, s.CreateRoom(ctx, r))
	got, err := s.BindRoom(ctx, r.ID, "acme")
	check(t, err)
	r.Tenant = "acme"
	same(t, got, r)
	got, err = s.BindRoom(ctx, r.ID, "other")
	check(t, err)
	same(t, got, r)
	_, err = s.Room(ctx, "nobody")
	is(t, err, chat.ErrNotFound)

	var said []chat.Message
	for i, speaker := range []chat.Speaker{chat.User, chat.Bot, chat.User, chat.User} {
		m, err := s.Append(ctx, chat.Message{RoomID: r.ID, Speaker: speaker, User: "ada", Session: "s", Text: fmt.Sprint("é", i), Action: chat.Test, At: now}, 100)
		check(t, err)
		same(t, m.Seq, uint64(i+1))
		said = append(said, m)
	}
	messages, err := s.Messages(ctx, r.ID, 0, 3)
	check(t, err)
	same(t, messages, said[1:])

	answer, err := s.Append(ctx, chat.Message{RoomID: r.ID, Speaker: chat.Bot, Text: "b", At: now}, 100)
	check(t, err)
	since, err := s.MessagesSince(ctx, r.ID, 2, 5, 9)
	check(t, err)
	same(t, since, append(slices.Clone(said[2:]), answer))
	since, err = s.MessagesSince(ctx, r.ID, 2, 2, 9)
	check(t, err)
	same(t, len(since), 0)
	keyed, err := s.Append(ctx, chat.Message{RoomID: r.ID, Speaker: chat.User, Text: "once", At: now, Key: "k"}, 100)
	check(t, err)
	if _, err := s.Append(ctx, chat.Message{RoomID: r.ID, Speaker: chat.User, Text: "twice", At: now, Key: "k"}, 100); err == nil {
		t.Error("the same key was stored twice")
	}
	found, err := s.Said(ctx, r.ID, "k")
	check(t, err)
	keyed.Key = ""
	same(t, found, keyed)
	for _, key := range []string{"", "other"} {
		_, err = s.Said(ctx, r.ID, key)
		is(t, err, chat.ErrNotFound)
	}
	last, err := s.LastMessages(ctx, []string{r.ID, "nobody"})
	check(t, err)
	same(t, last, map[string]uint64{r.ID: 6})
}

// newChat makes a conversation.
func newChat(t *testing.T, s store.Chats) string {
	t.Helper()
	id := uuid.NewString()
	check(t, s.CreateRoom(t.Context(), chat.Room{ID: id, Tenant: "acme", Owner: "ada", At: now, ChangedAt: now}))
	return id
}

func widgets(t *testing.T, s store.Widgets) {
	ctx := t.Context()
	id := uuid.NewString()
	_, err := s.Widget(ctx, id)
	is(t, err, bridge.ErrNotFound)
	for _, tenant := range []string{"acme", "acme", "other"} {
		owner, err := s.ClaimWidget(ctx, id, tenant, "ada")
		check(t, err)
		same(t, owner, "acme")
	}
	owner, err := s.Widget(ctx, id)
	check(t, err)
	same(t, owner, "acme")
}

func listeners(t *testing.T, s store.Listeners) {
	ctx := t.Context()
	tenant := uuid.NewString()
	l := listener.Listener{ID: uuid.NewString(), Tenant: tenant, Kind: listener.AppPage, Title: "P", CreatedBy: "ada", CreatedAt: now}
	check(t, s.CreateListener(ctx, l))
	got, err := s.Listener(ctx, l.ID)
	check(t, err)
	same(t, got, l)
	all, err := s.Listeners(ctx, tenant)
	check(t, err)
	same(t, all, []listener.Listener{l})
	check(t, s.DeleteListener(ctx, l.ID))
	is(t, s.DeleteListener(ctx, l.ID), listener.ErrNotFound)
	_, err = s.Listener(ctx, l.ID)
	is(t, err, listener.ErrNotFound)
}

// writers makes many write at once: none may fail for the others' sake.
func writers(t *testing.T, db *store.DB) {
	ctx := t.Context()
	room := newChat(t, db.Chats())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if _, err := db.Chats().Append(ctx, chat.Message{RoomID: room, Speaker: chat.Bot, At: now}, 100); err != nil {
					t.Error(err)
				}
				if _, err := db.Chats().Messages(ctx, room, 0, 10); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	messages, err := db.Chats().Messages(ctx, room, 0, 1)
	check(t, err)
	same(t, messages[0].Seq, uint64(160))
}

// texts are kept as they are, but for the one character that a database may
// not take: that is refused by all.
func texts(t *testing.T, db *store.DB) {
	ctx := t.Context()
	room := newChat(t, db.Chats())
	odd := "\x01 \\ ' \" ? $1 %s \u2028 \U0001F600 \uFFFD"
	m, err := db.Chats().Append(ctx, chat.Message{RoomID: room, Speaker: chat.User, Text: odd, At: now}, 100)
	check(t, err)
	got, err := db.Chats().Messages(ctx, room, 0, 1)
	check(t, err)
	same(t, got, []chat.Message{m})

	refused := func(err error) {
		t.Helper()
		if e, meant := events.Public(err); !meant || e.Code != events.CodeValidation {
			t.Errorf("a text with U+0000: %v", err)
		}
	}
	_, err = db.Chats().Append(ctx, chat.Message{RoomID: room, Speaker: chat.User, Text: "a\x00b", At: now}, 100)
	refused(err)
	_, err = db.Chats().Room(ctx, "a\x00b")
	refused(err)
	_, err = db.Listeners().Listeners(ctx, "a\x00b")
	refused(err)
	refused(db.Listeners().DeleteListener(ctx, "a\x00b"))
}
