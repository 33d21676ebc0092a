package chat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

var (
	ada  = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	bob  = &auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}
	many = &auth.Identity{User: "many", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}, {ID: "other", Role: auth.Member}}}
)

var discard = slog.New(slog.DiscardHandler)

// assistantFunc is an assistant made of a function.
type assistantFunc func(ctx context.Context, t chat.Turn) (chat.Reply, error)

func (f assistantFunc) Reply(ctx context.Context, t chat.Turn, _ chat.Out) (chat.Reply, error) {
	return f(ctx, t)
}

type fixture struct {
	t     *testing.T
	svc   *chat.Service
	store chat.Store
	said  chan string         // what the bot says, in order
	told  chan events.Payload // about approvals, in order
}

func newFixture(t *testing.T, opts chat.Options, reply assistantFunc) *fixture {
	t.Helper()
	db := sqlitetest.Open(t)
	f := &fixture{t: t, store: db.Chats(), said: make(chan string, 1000), told: make(chan events.Payload, 1000)}
	opts.Store, opts.Publisher, opts.Assistant = f.store, f, reply
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	f.svc = chat.NewService(opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		f.svc.Close(ctx)
		db.Close()
	})
	return f
}

// Publish implements chat.Publisher.
func (f *fixture) Publish(_ events.Room, _ cluster.Position, p events.Payload) error {
	switch p := p.(type) {
	case events.AIChatBotMessage:
		f.said <- p.Text
	case events.AIChatApprovalRequired, events.AIChatApprovalResolved, events.AIChatApprovalOutcome:
		f.told <- p
	}
	return nil
}

func (f *fixture) room(id *auth.Identity) string {
	f.t.Helper()
	r, err := f.svc.Open(f.t.Context(), id, "")
	if err != nil {
		f.t.Fatal(err)
	}
	return r.ID
}

func (f *fixture) say(room, text string, action chat.Action) {
	f.t.Helper()
	if _, err := f.svc.Say(f.t.Context(), ada, room, chat.Words{Text: text, Action: action}); err != nil {
		f.t.Fatal(err)
	}
}

func code(err error) events.Code {
	var e *events.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Whatever happens to an answer, there is one.
func TestEveryMessageHasOneAnswer(t *testing.T) {
	var log bytes.Buffer
	f := newFixture(t, chat.Options{Timeout: 500 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(ctx context.Context, turn chat.Turn) (chat.Reply, error) {
		switch turn.Message.Text {
		case "panic":
			panic("boom")
		case "hang":
			<-ctx.Done()
			return chat.Reply{}, ctx.Err()
		case "fail":
			return chat.Reply{}, errors.New("secret detail")
		case "refuse":
			return chat.Reply{}, events.Errorf(events.CodeConflict, "not now")
		case "quote":
			return chat.Reply{}, events.Errorf(events.CodeConflict, "no \x00\xff here")
		case "silence":
			return chat.Reply{}, nil
		}
		return chat.Reply{Text: "echo " + turn.Message.Text}, nil
	})
	room := f.room(ada)
	for text, want := range map[string]string{
		"hello": "echo hello", "panic": "Something went wrong", "hang": "could not answer within 500ms",
		"fail": "Something went wrong", "refuse": "That did not work: not now.", "silence": "nothing to say",
		"quote": "That did not work: no \uFFFD here.",
	} {
		f.say(room, text, chat.None)
		if got := <-f.said; !strings.Contains(got, want) || strings.Contains(got, "secret") {
			t.Errorf("%s was answered with %q", text, got)
		}
	}
	if !strings.Contains(log.String(), "boom") || !strings.Contains(log.String(), "secret detail") {
		t.Error("the log does not say what went wrong")
	}
	messages, err := f.store.Messages(t.Context(), room, 0, 100)
	if err != nil || len(messages) != 14 || len(f.said) != 0 {
		t.Errorf("%d messages, %v", len(messages), err)
	}
}

func TestAnswersComeInOrder(t *testing.T) {
	f := newFixture(t, chat.Options{Waiting: 1000}, func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
		return chat.Reply{Text: turn.Message.Text}, nil
	})
	var all sync.WaitGroup
	rooms := []string{f.room(ada), f.room(ada), f.room(ada)}
	for i, room := range rooms {
		all.Go(func() {
			for n := range 100 {
				f.svc.Say(t.Context(), ada, room, chat.Words{Text: fmt.Sprintf("%d %d", i, n)})
			}
		})
	}
	all.Wait()
	next := [3]int{}
	for range 300 {
		var room, n int
		fmt.Sscan(<-f.said, &room, &n)
		if n != next[room] {
			t.Fatalf("room %d: answer %d, want %d", room, n, next[room])
		}
		next[room]++
	}
}

func TestTooManyWaiting(t *testing.T) {
	release := make(chan struct{})
	f := newFixture(t, chat.Options{Waiting: 2}, func(context.Context, chat.Turn) (chat.Reply, error) {
		<-release
		return chat.Reply{Text: "done"}, nil
	})
	room := f.room(ada)
	var err error
	accepted := 0
	for err == nil {
		if _, err = f.svc.Say(t.Context(), ada, room, chat.Words{Text: "x"}); err == nil {
			accepted++
		}
	}
	if code(err) != events.CodeConflict || accepted != 3 {
		t.Errorf("%d accepted, then %v", accepted, err)
	}
	close(release)
	for range accepted {
		<-f.said
	}
}

func TestRoomsAreTheirOwners(t *testing.T) {
	f := newFixture(t, chat.Options{}, func(context.Context, chat.Turn) (chat.Reply, error) { return chat.Reply{Text: "x"}, nil })
	ctx := t.Context()
	room := f.room(ada)
	for _, id := range []*auth.Identity{bob, many} {
		if _, err := f.svc.Room(ctx, id, room); code(err) != events.CodeNotFound {
			t.Errorf("%s in ada's room: %v", id.User, err)
		}
		if _, err := f.svc.Say(ctx, id, room, chat.Words{Text: "x"}); code(err) != events.CodeNotFound {
			t.Errorf("%s says something there: %v", id.User, err)
		}
	}
	if _, err := f.svc.Open(ctx, ada, "foreign"); code(err) != events.CodeNotFound {
		t.Errorf("a room in a foreign tenant: %v", err)
	}
	// The first message says to which tenant a room belongs.
	shared := f.room(many)
	if _, err := f.svc.Say(ctx, many, shared, chat.Words{Text: "x"}); code(err) != events.CodeValidation {
		t.Errorf("without a tenant: %v", err)
	}
	if _, err := f.svc.Say(ctx, many, shared, chat.Words{Tenant: "other", Text: "x"}); err != nil {
		t.Error(err)
	}
	if r, err := f.svc.Room(ctx, many, shared); err != nil || r.Tenant != "other" {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := f.svc.Say(ctx, many, shared, chat.Words{Tenant: "acme", Text: "x"}); code(err) != events.CodeNotFound {
		t.Errorf("with another tenant: %v", err)
	}
	<-f.said
}

// racing is a store in which something else happens when a message is stored,
// or a room bound.
type racing struct {
	chat.Store
	append func()
	bind   func()
}

func (r racing) Append(ctx context.Context, m chat.Message, open int) (chat.Message, error) {
	if r.append != nil && m.Speaker == chat.User {
		r.append()
	}
	return r.Store.Append(ctx, m, open)
}

func (r racing) BindRoom(ctx context.Context, id, tenant string) (chat.Room, error) {
	if r.bind != nil {
		r.bind()
	}
	return r.Store.BindRoom(ctx, id, tenant)
}

func (f *fixture) with(r racing) *chat.Service {
	r.Store = f.store
	return chat.NewService(chat.Options{Store: r, Publisher: f, Logger: slog.New(slog.DiscardHandler), Assistant: assistantFunc(func(context.Context, chat.Turn) (chat.Reply, error) {
		return chat.Reply{Text: "answer"}, nil
	})})
}

// A message that was stored is accepted and answered, even if the server
// begins to stop meanwhile, or the time of the event is over: who were told to
// say it again would be answered twice.
func TestWhatIsStoredIsAnswered(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var svc *chat.Service
	svc = f.with(racing{append: func() {
		cancel()
		svc.Close(ctx) // begins to close, and has no time to wait
	}})
	room := f.room(ada)
	if _, err := svc.Say(ctx, ada, room, chat.Words{Text: "x"}); err != nil {
		t.Error(err)
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
	messages, err := f.store.Messages(t.Context(), room, 0, 10)
	if err != nil || len(messages) != 2 {
		t.Errorf("%v, %v", messages, err)
	}
}

// Of two messages that bind a room to different tenants, one is refused.
func TestBindingARoomTwice(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	room := f.room(many)
	svc := f.with(racing{bind: func() { f.store.BindRoom(t.Context(), room, "acme") }})
	_, err := svc.Say(t.Context(), many, room, chat.Words{Tenant: "other", Text: "x"})
	var e *events.Error
	if !errors.As(err, &e) || e.Code != events.CodeNotFound || e.Field != "tenantID" {
		t.Errorf("%v", err)
	}
	if messages, _ := f.store.Messages(t.Context(), room, 0, 10); len(messages) != 0 {
		t.Errorf("stored %v", messages)
	}
}

// Of two messages at once on two servers that refuse what comes while they
// answer, one is refused; and what waits is bounded for all servers together.
func TestBusyAcrossServers(t *testing.T) {
	for _, refuse := range []bool{true, false} {
		f := newFixture(t, chat.Options{}, nil)
		room := f.room(ada)
		release := make(chan struct{})
		opts := chat.Options{Store: f.store, Publisher: f, Logger: discard, Refuse: refuse, Waiting: 1, Assistant: assistantFunc(func(context.Context, chat.Turn) (chat.Reply, error) {
			<-release
			return chat.Reply{Text: "done"}, nil
		})}
		other := chat.NewService(opts)
		accepted := 0
		say := func(svc *chat.Service) (err error) {
			if _, err = svc.Say(t.Context(), ada, room, chat.Words{Text: "x"}); err == nil {
				accepted++
			}
			return err
		}
		opts.Store = racing{Store: f.store, append: func() { say(other) }}
		svc := chat.NewService(opts)
		var err error
		for err == nil && accepted < 10 {
			err = say(svc)
		}
		if want := map[bool]int{true: 1, false: 2}[refuse]; code(err) != events.CodeConflict || accepted != want {
			t.Errorf("refuse %v: %d accepted, then %v", refuse, accepted, err)
		}
		close(release)
		for range accepted {
			<-f.said
		}
		for _, s := range []*chat.Service{svc, other} {
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// What a dead process left without an answer gets one.
func TestRecover(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	room := f.room(ada)
	var said []chat.Message
	for range 3 {
		m, err := f.store.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, Text: "x", Owner: "dead"}, 100)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, m)
	}
	if _, err := f.store.Answer(t.Context(), said[0], chat.Message{RoomID: room, Speaker: chat.Bot, Text: "y"}, chat.Entry{Seq: 1, Kind: chat.StreamEnd, Data: []byte(`{}`)}, chat.Aftermath{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.svc.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.svc.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.said) != 2 || !strings.Contains(<-f.said, "interrupted") {
		t.Errorf("%d answers", len(f.said))
	}
}

func TestClose(t *testing.T) {
	started := make(chan struct{})
	f := newFixture(t, chat.Options{}, func(ctx context.Context, _ chat.Turn) (chat.Reply, error) {
		close(started)
		<-ctx.Done()
		return chat.Reply{}, ctx.Err()
	})
	room := f.room(ada)
	f.say(room, "x", chat.None)
	<-started
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.svc.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	if got := <-f.said; !strings.Contains(got, "interrupted") {
		t.Errorf("the cut answer: %q", got)
	}
	if _, err := f.svc.Say(t.Context(), ada, room, chat.Words{Text: "x"}); code(err) != events.CodeConflict {
		t.Errorf("after Close: %v", err)
	}
}

// What has waited is not done in the name of somebody whose credential has
// ended meanwhile; the message has its answer all the same.
func TestIdentityMayEndWhileWaiting(t *testing.T) {
	revoked := func(*auth.Identity) error {
		return events.Errorf(events.CodeCredentialRevoked, "the credential has been revoked")
	}
	f := newFixture(t, chat.Options{Holds: revoked}, func(context.Context, chat.Turn) (chat.Reply, error) {
		t.Error("the assistant was asked")
		return chat.Reply{}, nil
	})
	f.say(f.room(ada), "approve", chat.None)
	if got := <-f.said; !strings.Contains(got, "has been revoked") {
		t.Errorf("answered with %q", got)
	}
}

// A room is being answered from when a message is stored until its answer has
// been given.
func TestAnswering(t *testing.T) {
	goOn := make(chan struct{})
	f := newFixture(t, chat.Options{}, func(context.Context, chat.Turn) (chat.Reply, error) {
		<-goOn
		return chat.Reply{Text: "yes"}, nil
	})
	room, other := f.room(ada), f.room(ada)
	f.say(room, "are you there?", chat.None)
	if !f.svc.Answering(room) || f.svc.Answering(other) {
		t.Error("it does not know whom it answers")
	}
	close(goOn)
	<-f.said
	eventually.True(t, func() bool { return !f.svc.Answering(room) })
}
