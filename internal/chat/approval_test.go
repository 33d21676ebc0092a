package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/once"
)

// bench are tools that note what they are told to do.
type bench struct {
	mu      sync.Mutex
	version string
	gone    bool
	did     []string // approvals, with the id of what was made
	do      func(ctx context.Context) (chat.Outcome, error)
}

var _ chat.Tools = (*bench)(nil)

func (b *bench) set(version string, gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version, b.gone = version, gone
}

func (b *bench) deeds() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.did...)
}

func (b *bench) Check(_ context.Context, id *auth.Identity, p chat.Proposal) (chat.Proposal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !id.Can(auth.Execute, p.Tenant):
		return p, events.Errorf(events.CodePermissionDenied, "you may not")
	case b.gone:
		return p, fmt.Errorf("%w: %w", chat.ErrInvalid, events.NotFound("thing", "x"))
	}
	p.Version = b.version
	return p, nil
}

func (b *bench) Try(context.Context, *auth.Identity, chat.Proposal) (string, error) {
	return "it would work", nil
}

func (b *bench) Do(ctx context.Context, id *auth.Identity, approvalID string, p chat.Proposal) (chat.Outcome, error) {
	b.mu.Lock()
	b.did = append(b.did, fmt.Sprint(approvalID, " ", id.User, " ", id.Role(p.Tenant), " ", once.Again(ctx), " ", once.ID(ctx, "run")))
	b.mu.Unlock()
	if b.do != nil {
		return b.do(ctx)
	}
	return chat.Outcome{OK: true, Text: p.Title + " is done."}, nil
}

func proposing(_ context.Context, t chat.Turn) (chat.Reply, error) {
	if t.Message.Text != "propose" {
		return chat.Reply{Text: "I was asked " + t.Message.Text}, nil
	}
	return chat.Reply{Text: "proposed", Propose: []chat.Proposal{{Tool: "t", Title: "T", Arguments: json.RawMessage(`{"n":1}`)}}}, nil
}

// next returns the next that is told of a kind, which must be the next.
func next[T events.Payload](f *fixture) T {
	f.t.Helper()
	select {
	case p := <-f.told:
		v, ok := p.(T)
		if !ok {
			f.t.Fatalf("told %#v, not a %T", p, v)
		}
		return v
	case <-time.After(10 * time.Second):
		f.t.Fatal("nothing was told")
	}
	panic("unreachable")
}

// proposed has something proposed in a room of ada's, where bob is too.
func (f *fixture) proposed() (room string, asked events.AIChatApprovalRequired) {
	f.t.Helper()
	room = f.room(ada)
	f.say(room, "propose", chat.None)
	<-f.said
	return room, next[events.AIChatApprovalRequired](f)
}

// inRoom lets bob into rooms that are others'.
type inRoom struct{ chat.Store }

func (inRoom) IsMember(_ context.Context, _, user string) (bool, error) { return user == bob.User, nil }

func TestProposals(t *testing.T) {
	tools := &bench{}
	f := newFixture(t, chat.Options{Tools: tools}, proposing)
	room := f.room(ada)
	for _, step := range []struct {
		text   string
		action chat.Action
		want   string
	}{
		{"go", chat.Approve, "There is nothing to approve: nothing has been proposed."},
		{"a question", chat.Test, "I was asked a question"},
		{"propose", chat.None, "proposed"},
		{"x", chat.Test, "The test passed: it would work. Nothing was run; approve or reject it."},
		{"Yes, please!", chat.None, "T is done."},
		{"again", chat.Approve, "There is nothing to approve: nothing has been proposed."},
		{"propose", chat.None, "proposed"},
		{"hm", chat.None, "I was asked hm"},
		{"no", chat.None, `All right, I will not run "T".`},
		{"yes", chat.None, "I was asked yes"},
	} {
		f.say(room, step.text, step.action)
		if got := <-f.said; got != step.want {
			t.Errorf("%q (%s): %q, want %q", step.text, step.action, got, step.want)
		}
	}
	if did := tools.deeds(); len(did) != 1 {
		t.Errorf("did %v", did)
	}
}

// What the tools do not take is not proposed.
func TestNotProposed(t *testing.T) {
	f := newFixture(t, chat.Options{Tools: &bench{gone: true}}, proposing)
	f.say(f.room(ada), "propose", chat.None)
	if got := <-f.said; got != "That did not work: thing x not found." || len(f.told) != 0 {
		t.Errorf("said %q, told %d", got, len(f.told))
	}
}

func TestDecide(t *testing.T) {
	tools := &bench{}
	f := newFixture(t, chat.Options{Tools: tools}, proposing)
	f.svc = f.sharing(tools)
	ctx := t.Context()
	room, asked := f.proposed()
	decide := func(id *auth.Identity, what chat.Action, hash string) (chat.Approval, string, error) {
		return f.svc.Decide(ctx, id, room, asked.ApprovalID, what, hash)
	}
	a, outcome, err := decide(bob, chat.Test, asked.Hash)
	if err != nil || outcome != "it would work" || a.Status != chat.Pending {
		t.Errorf("test: %v %q %v", a.Status, outcome, err)
	}
	for name, refused := range map[string]struct {
		id    *auth.Identity
		what  chat.Action
		hash  string
		code  events.Code
		field string
	}{
		"another hash": {bob, chat.Approve, strings.Repeat("0", 64), events.CodeConflict, "hash"},
		"no decision":  {bob, chat.None, "", events.CodeValidation, "decision"},
		"a stranger":   {many, chat.Approve, "", events.CodeNotFound, ""},
	} {
		_, _, err := decide(refused.id, refused.what, refused.hash)
		var e *events.Error
		if !errors.As(err, &e) || e.Code != refused.code || e.Field != refused.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := f.svc.Decide(ctx, ada, f.room(ada), asked.ApprovalID, chat.Approve, ""); code(err) != events.CodeNotFound {
		t.Errorf("in another room: %v", err)
	}
	if a, _, err = decide(bob, chat.Approve, asked.Hash); err != nil || a.Status != chat.Approved || a.By != "bob" {
		t.Fatalf("approve: %+v %v", a, err)
	}
	if got := next[events.AIChatApprovalResolved](f); got.Decision != "approved" || got.DecidedBy != "bob" {
		t.Errorf("told %+v", got)
	}
	if got := next[events.AIChatApprovalOutcome](f); !got.OK || got.Outcome != "T is done." || got.ApprovalID != asked.ApprovalID {
		t.Errorf("told %+v", got)
	}
	if a, _, err = decide(ada, chat.Approve, ""); err != nil || !a.Done || a.Outcome.Text != "T is done." || a.By != "bob" {
		t.Errorf("again: %+v %v", a, err)
	}
	for _, what := range []chat.Action{chat.Reject, chat.Test} {
		if _, _, err = decide(ada, what, ""); code(err) != events.CodeConflict || !strings.Contains(err.Error(), "approved by bob") {
			t.Errorf("%s after it was approved: %v", what, err)
		}
	}
	if did := tools.deeds(); len(did) != 1 || !strings.HasPrefix(did[0], asked.ApprovalID+" bob ADMIN false ") || len(f.told) != 0 {
		t.Errorf("did %v, told %d more", did, len(f.told))
	}
}

// sharing is a service in whose rooms bob is.
func (f *fixture) sharing(tools chat.Tools) *chat.Service {
	svc := chat.NewService(chat.Options{Store: inRoom{f.store}, Publisher: f, Assistant: assistantFunc(proposing), Tools: tools, Logger: discard})
	f.t.Cleanup(func() {
		if err := svc.Close(context.Background()); err != nil {
			f.t.Error(err)
		}
	})
	return svc
}

// Two users, two tabs each: it is done once, and everybody is told that it was
// approved.
func TestApprovedAtOnce(t *testing.T) {
	tools := &bench{}
	f := newFixture(t, chat.Options{}, nil)
	f.svc = f.sharing(tools)
	room, asked := f.proposed()
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			a, _, err := f.svc.Decide(t.Context(), []*auth.Identity{ada, bob}[i%2], room, asked.ApprovalID, chat.Approve, asked.Hash)
			if err != nil || a.Status != chat.Approved {
				t.Errorf("%v %v", a.Status, err)
			}
		})
	}
	all.Wait()
	next[events.AIChatApprovalResolved](f)
	next[events.AIChatApprovalOutcome](f)
	if did := tools.deeds(); len(did) != 1 || len(f.told) != 0 {
		t.Errorf("did %v, told %d more", did, len(f.told))
	}
}

// What would do something else now, or cannot be done any more, is not done;
// who only lacks the right leaves it to others.
func TestChangedMeanwhile(t *testing.T) {
	tools := &bench{version: "1"}
	f := newFixture(t, chat.Options{}, nil)
	f.svc = f.sharing(tools)
	for name, change := range map[string]func(){
		"changed": func() { tools.set("2", false) },
		"gone":    func() { tools.set("1", true) },
	} {
		tools.set("1", false)
		room, asked := f.proposed()
		decide := func(id *auth.Identity, what chat.Action) error {
			_, _, err := f.svc.Decide(t.Context(), id, room, asked.ApprovalID, what, asked.Hash)
			return err
		}
		powerless := &auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "acme", Role: auth.Publisher}}}
		if err := decide(powerless, chat.Approve); err == nil || len(f.told) != 0 {
			t.Errorf("%s: without the right: %v, told %d", name, err, len(f.told))
		}
		if err := decide(bob, chat.Test); err != nil {
			t.Errorf("%s: before: %v", name, err)
		}
		change()
		for range 2 {
			if err := decide(ada, chat.Approve); code(err) != events.CodeConflict || !strings.Contains(err.Error(), "cannot be done as it was proposed") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := next[events.AIChatApprovalResolved](f); got.Decision != "invalid" || got.Reason == "" || got.DecidedBy != "" {
			t.Errorf("%s: told %+v", name, got)
		}
	}
	if did := tools.deeds(); len(did) != 0 || len(f.told) != 0 {
		t.Errorf("did %v, told %d more", did, len(f.told))
	}
}

// stored puts an approval into a room, as a server that is gone has left it.
func (f *fixture) stored(a chat.Approval) chat.Approval {
	f.t.Helper()
	a.ID, a.RoomID, a.Tenant, a.Tool, a.Title, a.Arguments, a.ProposedAt = uuid.NewString(), f.room(ada), "acme", "t", "T", json.RawMessage(`{}`), time.Now()
	a.Hash = chat.HashOf(a.Proposal)
	m, err := f.store.Append(f.t.Context(), chat.Message{RoomID: a.RoomID, Speaker: chat.User, Owner: "dead"}, 100)
	if err == nil {
		_, err = f.store.Answer(f.t.Context(), m, chat.Message{RoomID: a.RoomID, Speaker: chat.Bot}, chat.Entry{Seq: 1, Kind: chat.StreamEnd, Data: []byte(`{}`)}, chat.Aftermath{Approvals: []chat.Approval{a}})
	}
	if err == nil && a.Status != chat.Pending {
		_, _, err = f.store.DecideApproval(f.t.Context(), a.ID, a.Decision)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}

// What a server that is gone has left is not taken up in the name of who was
// shut out since, or takes no part in the conversation any more.
func TestNotTakenUpForWhoIsGone(t *testing.T) {
	at := time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond)
	revoked := func(id *auth.Identity) error {
		if id.User == "ada" && !id.Issued.After(at) {
			return auth.Revoked()
		}
		return nil
	}
	for user, want := range map[string]string{"ada": "revoked", "bob": "does not take part"} {
		tools := &bench{}
		f := newFixture(t, chat.Options{}, nil)
		svc := chat.NewService(chat.Options{Store: f.store, Publisher: f, Tools: tools, Logger: discard, Holds: revoked})
		a := f.stored(chat.Approval{ExpiresAt: time.Now(), Decision: chat.Decision{Status: chat.Approved, By: user, Role: auth.Member, At: at, Owner: "dead"}})
		for range 2 {
			if err := svc.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		next[events.AIChatApprovalResolved](f)
		if got := next[events.AIChatApprovalOutcome](f); got.OK || !strings.Contains(got.Outcome, want) || !strings.Contains(got.Outcome, "may have been done before") {
			t.Errorf("%s: told %+v", user, got)
		}
		if err := svc.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if did := tools.deeds(); len(did) != 0 || len(f.told) != 0 {
			t.Errorf("%s: did %v, told %d more", user, did, len(f.told))
		}
		if got, err := f.store.Approval(t.Context(), a.ID); err != nil || !got.Done {
			t.Errorf("%s: %+v, %v", user, got, err)
		}
	}
}

// A conversation may be deleted while something is done that was approved there:
// that is nobody's mistake.
func TestDeletedWhileDone(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	tools := &bench{do: func(context.Context) (chat.Outcome, error) {
		close(began)
		<-release
		return chat.Outcome{OK: true, Text: "done"}, nil
	}}
	var log bytes.Buffer
	f := newFixture(t, chat.Options{}, nil)
	svc := chat.NewService(chat.Options{Store: f.store, Publisher: f, Tools: tools, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	a := f.stored(chat.Approval{ExpiresAt: time.Now().Add(time.Hour), Decision: chat.Decision{Status: chat.Pending}})
	if _, _, err := svc.Decide(t.Context(), ada, a.RoomID, a.ID, chat.Approve, ""); err != nil {
		t.Fatal(err)
	}
	<-began
	r, err := svc.Room(t.Context(), ada, a.RoomID)
	if err == nil {
		err = svc.Delete(t.Context(), ada, r)
	}
	close(release)
	if err := errors.Join(err, svc.Close(t.Context())); err != nil {
		t.Error(err)
	}
	next[events.AIChatApprovalResolved](f)
	if text := log.String(); strings.Contains(text, "ERROR") || !strings.Contains(text, "not kept") || len(f.told) != 0 {
		t.Errorf("logged %s; told %d more", text, len(f.told))
	}
}

// ghosts is a store in which a room is deleted after its approvals were listed.
type ghosts struct{ chat.Store }

func (ghosts) OverdueApprovals(context.Context, time.Time, int) ([]chat.Approval, error) {
	return []chat.Approval{{ID: uuid.NewString(), Decision: chat.Decision{Status: chat.Pending}}}, nil
}

// What is deleted meanwhile keeps nobody from taking over the rest.
func TestExpiredAndGone(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	room := f.room(ada)
	if _, err := f.store.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, Text: "x", Owner: "dead"}, 100); err != nil {
		t.Fatal(err)
	}
	svc := chat.NewService(chat.Options{Store: ghosts{f.store}, Publisher: f, Logger: discard})
	if err := svc.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if err := svc.Close(t.Context()); err != nil || len(f.said) != 1 {
		t.Errorf("%d answers, %v", len(f.said), err)
	}
}

func TestExpired(t *testing.T) {
	f := newFixture(t, chat.Options{Tools: &bench{}}, proposing)
	overdue := chat.Approval{Decision: chat.Decision{Status: chat.Pending}, ExpiresAt: time.Now().Add(-time.Second)}
	a, b := f.stored(overdue), f.stored(overdue)
	if _, _, err := f.svc.Decide(t.Context(), ada, a.RoomID, a.ID, chat.Approve, ""); code(err) != events.CodeConflict || !strings.Contains(err.Error(), "expired") {
		t.Errorf("deciding too late: %v", err)
	}
	for range 2 {
		if err := f.svc.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{a.ID, b.ID} {
		if got := next[events.AIChatApprovalResolved](f); got.ApprovalID != want || got.Decision != "expired" || got.DecidedBy != "" {
			t.Errorf("told %+v", got)
		}
	}
	if len(f.told) != 0 {
		t.Errorf("told %d more", len(f.told))
	}
}

// What a dead process has left undone is done by the next, as the same request
// and in the name of the same user.
func TestUndone(t *testing.T) {
	tools := &bench{}
	f := newFixture(t, chat.Options{Tools: tools}, proposing)
	a := f.stored(chat.Approval{ExpiresAt: time.Now().Add(time.Hour), Decision: chat.Decision{Status: chat.Approved, By: "bob", Role: auth.Admin, At: time.Now(), Owner: "dead"}})
	if _, err := f.store.AddMember(t.Context(), chat.Member{RoomID: a.RoomID, User: "bob", AddedBy: "ada", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.svc.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	next[events.AIChatApprovalResolved](f)
	if got := next[events.AIChatApprovalOutcome](f); got.ApprovalID != a.ID || !got.OK {
		t.Errorf("told %+v", got)
	}
	want := fmt.Sprint(a.ID, " bob ADMIN true ", once.ID(once.Seeded(t.Context(), a.ID, false), "run"))
	if did := tools.deeds(); len(did) != 1 || did[0] != want {
		t.Errorf("did %v, want %s", did, want)
	}
	if a, err := f.store.Approval(t.Context(), a.ID); err != nil || !a.Done || a.Outcome.Text != "T is done." {
		t.Errorf("%+v %v", a, err)
	}
}

// Whatever a tool does, there is an outcome.
func TestOutcomes(t *testing.T) {
	tools := &bench{}
	f := newFixture(t, chat.Options{Tools: tools, Timeout: 50 * time.Millisecond}, proposing)
	for want, do := range map[string]func(ctx context.Context) (chat.Outcome, error){
		"went wrong on the server": func(context.Context) (chat.Outcome, error) { panic("boom") },
		"not work: too many": func(context.Context) (chat.Outcome, error) {
			return chat.Outcome{}, events.Errorf(events.CodeTooManyRuns, "too many")
		},
		"not over within 50ms": func(ctx context.Context) (chat.Outcome, error) { <-ctx.Done(); return chat.Outcome{}, ctx.Err() },
		"it is false":          func(context.Context) (chat.Outcome, error) { return chat.Outcome{Text: "it is false"}, nil },
	} {
		tools.do = do
		room, asked := f.proposed()
		if _, _, err := f.svc.Decide(t.Context(), ada, room, asked.ApprovalID, chat.Approve, ""); err != nil {
			t.Fatal(err)
		}
		next[events.AIChatApprovalResolved](f)
		if got := next[events.AIChatApprovalOutcome](f); got.OK || !strings.Contains(got.Outcome, want) {
			t.Errorf("%q: told %+v", want, got)
		}
	}
}

// Who joins is told what is open, and what was decided while it was told.
func TestShowApprovals(t *testing.T) {
	release := make(chan struct{})
	tools := &bench{do: func(context.Context) (chat.Outcome, error) {
		<-release
		return chat.Outcome{OK: true, Text: "done"}, nil
	}}
	f := newFixture(t, chat.Options{Tools: tools}, proposing)
	room, asked := f.proposed()
	r, err := f.svc.Room(t.Context(), ada, room)
	if err != nil {
		t.Fatal(err)
	}
	show := func() (names string) {
		t.Helper()
		if err := f.svc.ShowApprovals(t.Context(), r, func(p events.Payload) { names += strings.TrimPrefix(p.EventName(), "ai_chat_approval_") + " " }); err != nil {
			t.Fatal(err)
		}
		return names
	}
	if got := show(); got != "required " {
		t.Errorf("shown %q", got)
	}
	if _, _, err := f.svc.Decide(t.Context(), ada, room, asked.ApprovalID, chat.Approve, ""); err != nil {
		t.Fatal(err)
	}
	if got := show(); got != "required resolved " {
		t.Errorf("shown %q while it is done", got)
	}
	close(release)
	next[events.AIChatApprovalResolved](f)
	next[events.AIChatApprovalOutcome](f)
	if got := show(); got != "" {
		t.Errorf("shown %q when it is over", got)
	}
}

// A message does not decide about what was proposed after it was said.
func TestNotYetProposed(t *testing.T) {
	goOn := make(chan struct{})
	tools := &bench{}
	f := newFixture(t, chat.Options{Tools: tools}, func(ctx context.Context, turn chat.Turn) (chat.Reply, error) {
		<-goOn
		return proposing(ctx, turn)
	})
	room := f.room(ada)
	f.say(room, "propose", chat.None)
	f.say(room, "go", chat.Approve)
	close(goOn)
	<-f.said
	if got := <-f.said; !strings.Contains(got, "nothing to approve") || len(tools.deeds()) != 0 {
		t.Errorf("said %q, did %v", got, tools.deeds())
	}
}
