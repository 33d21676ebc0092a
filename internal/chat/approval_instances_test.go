package chat_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// pair are two instances that share tools.
func pair(t *testing.T, tools chat.Tools) (a, b *server) {
	t.Helper()
	url := postgrestest.URL(t)
	both := &fixture{said: make(chan string, 100), told: make(chan events.Payload, 100)}
	return joinWith(t, url, both, tools, proposing), joinWith(t, url, both, tools, proposing)
}

// Of those who approve on two instances at once one is the first, and it is
// done there, once.
func TestApprovedOnTwoInstances(t *testing.T) {
	tools := &bench{}
	a, b := pair(t, tools)
	room, asked := a.proposed()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			got, _, err := []*server{a, b}[i%2].svc.Decide(t.Context(), ada, room, asked.ApprovalID, chat.Approve, asked.Hash)
			if err != nil || got.Status != chat.Approved {
				t.Errorf("%v %v", got.Status, err)
			}
		})
	}
	all.Wait()
	next[events.AIChatApprovalResolved](a.fixture)
	next[events.AIChatApprovalOutcome](a.fixture)
	a.recover()
	b.recover()
	if did := tools.deeds(); len(did) != 1 || len(a.told) != 0 {
		t.Errorf("did %v, told %d more", did, len(a.told))
	}
}

// What an instance that falls silent is doing another does again, as the same
// request; the first has no say in what came of it.
func TestDeedTakenOver(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	tools := &bench{do: func(ctx context.Context) (chat.Outcome, error) {
		if !once.Again(ctx) {
			close(began)
			<-release
			return chat.Outcome{OK: true, Text: "too late"}, nil
		}
		return chat.Outcome{OK: true, Text: "taken over"}, nil
	}}
	a, b := pair(t, tools)
	room, asked := a.proposed()
	if _, _, err := a.svc.Decide(t.Context(), ada, room, asked.ApprovalID, chat.Approve, asked.Hash); err != nil {
		t.Fatal(err)
	}
	next[events.AIChatApprovalResolved](a.fixture)
	<-began
	a.recover()
	b.recover()
	if len(tools.deeds()) != 1 {
		t.Errorf("a live instance was robbed: %v", tools.deeds())
	}
	a.fallSilent()
	var all sync.WaitGroup
	for range 4 {
		all.Go(b.recover)
	}
	all.Wait()
	next[events.AIChatApprovalResolved](a.fixture) // again: nobody knows whether it was told
	if got := next[events.AIChatApprovalOutcome](a.fixture); got.Outcome != "taken over" {
		t.Errorf("told %+v", got)
	}
	close(release)
	for _, s := range []*server{a, b} {
		if err := s.svc.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	id := once.ID(once.Seeded(t.Context(), asked.ApprovalID, false), "run")
	want := fmt.Sprintf("%[1]s ada MEMBER false %[2]s, %[1]s ada MEMBER true %[2]s", asked.ApprovalID, id)
	if did := strings.Join(tools.deeds(), ", "); did != want || len(a.told) != 0 {
		t.Errorf("did %s, want %s; told %d more", did, want, len(a.told))
	}
	if got, err := a.store.Approval(t.Context(), asked.ApprovalID); err != nil || got.Outcome.Text != "taken over" {
		t.Errorf("%+v %v", got, err)
	}
}

// forgetful is a store that stores a decision and fails to say so.
type forgetful struct{ chat.Store }

func (s forgetful) DecideApproval(ctx context.Context, id string, d chat.Decision) (chat.Approval, bool, error) {
	a, decided, err := s.Store.DecideApproval(ctx, id, d)
	if err == nil {
		err = context.DeadlineExceeded
	}
	return a, decided, err
}

// A decision that was stored without its server hearing of it is carried out.
func TestDecidedUnheard(t *testing.T) {
	tools := &bench{}
	f := newFixture(t, chat.Options{}, proposing)
	svc := chat.NewService(chat.Options{Store: forgetful{f.store}, Publisher: f, Assistant: assistantFunc(proposing), Tools: tools, Logger: discard, Owner: func() string { return "me" }})
	a := f.stored(chat.Approval{ExpiresAt: time.Now().Add(time.Hour), Decision: chat.Decision{Status: chat.Pending}})
	if _, _, err := svc.Decide(t.Context(), ada, a.RoomID, a.ID, chat.Approve, ""); err == nil {
		t.Error("the store did not fail")
	}
	if err := svc.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if did := tools.deeds(); len(did) != 1 {
		t.Errorf("did %v", did)
	}
}
