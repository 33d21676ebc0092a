package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/postgres"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
)

// server is an instance with its own connections to a database that others
// use.
type server struct {
	*fixture
	db    *store.DB
	owner atomic.Value // string
}

// join adds an instance. Whatever is published anywhere goes to said.
func join(t *testing.T, url string, said chan string, reply assistantFunc) *server {
	t.Helper()
	return joinWith(t, url, &fixture{said: said, told: make(chan events.Payload, 1000)}, nil, reply)
}

// joinWith is join for what is told to those of f, and with tools.
func joinWith(t *testing.T, url string, f *fixture, tools chat.Tools, reply assistantFunc) *server {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Options{URL: url, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{fixture: &fixture{t: t, store: db.Chats(), said: f.said, told: f.told}, db: db}
	s.come()
	s.svc = chat.NewService(chat.Options{
		Store: s.store, Publisher: s, Assistant: reply, Tools: tools, Waiting: 100, Logger: slog.New(slog.DiscardHandler),
		Owner: func() string { return s.owner.Load().(string) },
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.svc.Close(ctx); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	return s
}

func (s *server) come() {
	s.t.Helper()
	id := uuid.NewString()
	if err := s.db.Instances().Register(s.t.Context(), id, time.Hour); err != nil {
		s.t.Fatal(err)
	}
	s.owner.Store(id)
}

// fallSilent lets the time of the instance run out, which does not notice.
func (s *server) fallSilent() {
	s.t.Helper()
	if err := s.db.Instances().Renew(s.t.Context(), s.owner.Load().(string), -time.Millisecond); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) recover() {
	s.t.Helper()
	if err := s.svc.Recover(s.t.Context()); err != nil {
		s.t.Error(err)
	}
}

// answered checks that every message of a room has one answer, which was
// published once.
func (s *server) answered(room string, n int) {
	s.t.Helper()
	messages, err := s.store.Messages(s.t.Context(), room, 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	count := map[chat.Speaker]int{}
	for i, m := range messages {
		count[m.Speaker]++
		if m.Seq != uint64(i+1) {
			s.t.Errorf("message %d has the number %d", i+1, m.Seq)
		}
	}
	if count[chat.User] != n || count[chat.Bot] != n || len(s.said) != n {
		s.t.Errorf("%d messages, %d answers, %d published", count[chat.User], count[chat.Bot], len(s.said))
	}
}

func echo(_ context.Context, t chat.Turn) (chat.Reply, error) {
	return chat.Reply{Text: t.Message.Text}, nil
}

// A message whose instance falls silent while it answers is answered by one of
// the others, and not by the first when it wakes up.
func TestNoMessageIsAnsweredTwice(t *testing.T) {
	url, said := postgrestest.URL(t), make(chan string, 100)
	began, release := make(chan struct{}), make(chan struct{})
	a := join(t, url, said, func(context.Context, chat.Turn) (chat.Reply, error) {
		close(began)
		<-release
		return chat.Reply{Text: "too late"}, nil
	})
	b, c := join(t, url, said, echo), join(t, url, said, echo)
	room := a.room(ada)
	a.say(room, "one", chat.None)
	<-began
	a.say(room, "two", chat.None)
	b.recover()
	if len(said) != 0 {
		t.Errorf("a live instance was robbed: %s", <-said)
	}
	a.fallSilent()
	var all sync.WaitGroup
	for range 3 {
		all.Go(b.recover)
		all.Go(c.recover)
	}
	all.Wait()
	a.owner.Store("")
	a.svc.Lost()
	a.come()
	close(release)
	a.say(room, "three", chat.None)
	b.say(room, "four", chat.None)
	for _, s := range []*server{a, b, c} {
		if err := s.svc.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	a.answered(room, 4)
	got := ""
	for range 4 {
		got += <-said + "\n"
	}
	if strings.Count(got, "interrupted") != 2 || !strings.Contains(got, "four") {
		t.Errorf("said\n%s", got)
	}
}

// Both instances may answer in one room.
func TestOneRoomOnTwoInstances(t *testing.T) {
	url, said := postgrestest.URL(t), make(chan string, 100)
	a, b := join(t, url, said, echo), join(t, url, said, echo)
	room := a.room(ada)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() { []*server{a, b}[i%2].say(room, fmt.Sprint(i), chat.None) })
	}
	all.Wait()
	for _, s := range []*server{a, b} {
		if err := s.svc.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	a.answered(room, 40)
}

// What a stopped instance could not answer in time is answered by the next.
func TestStoppedInTheMiddle(t *testing.T) {
	url, said := postgrestest.URL(t), make(chan string, 100)
	began := make(chan struct{})
	a := join(t, url, said, func(ctx context.Context, _ chat.Turn) (chat.Reply, error) {
		close(began)
		<-ctx.Done()
		return chat.Reply{}, ctx.Err()
	})
	b := join(t, url, said, echo)
	room := a.room(ada)
	a.say(room, "one", chat.None)
	<-began
	if err := a.db.Instances().Remove(t.Context(), a.owner.Load().(string)); err != nil {
		t.Fatal(err)
	}
	b.recover()
	if got := <-said; !strings.Contains(got, "interrupted") {
		t.Errorf("said %q", got)
	}
	a.svc.Lost() // ends its answer
	if err := a.svc.Close(t.Context()); err != nil || len(said) != 0 {
		t.Errorf("%d more answers, %v", len(said), err)
	}
}

// flaky is a store whose answers fail: some before, some after they were
// stored.
type flaky struct {
	chat.Store
	before, after atomic.Int32
}

func (s *flaky) Answer(ctx context.Context, to, answer chat.Message, end chat.Entry, after chat.Aftermath) (chat.Message, error) {
	if s.before.Add(-1) >= 0 {
		return answer, errors.New("the store is away")
	}
	m, err := s.Store.Answer(ctx, to, answer, end, after)
	if s.after.Add(-1) >= 0 {
		return answer, errors.New("the store went away")
	}
	return m, err
}

// publications keeps what is published with its number.
type publications struct {
	mu   sync.Mutex
	said []string
}

func (p *publications) Publish(_ events.Room, pos cluster.Position, e events.Payload) error {
	m, ok := e.(events.AIChatBotMessage)
	if !ok {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, fmt.Sprint(pos.Prev, " ", pos.Offset, " ", m.Text))
	return nil
}

// A store that fails holds answers up, but none is lost and none comes twice.
func TestStoreFailsWhileAnswering(t *testing.T) {
	f := newFixture(t, chat.Options{}, echo)
	s, out := &flaky{Store: f.store}, &publications{}
	s.before.Store(2)
	s.after.Store(1)
	svc := chat.NewService(chat.Options{Store: s, Publisher: out, Assistant: assistantFunc(echo), Logger: slog.New(slog.DiscardHandler)})
	room := f.room(ada)
	for _, text := range []string{"a", "b"} {
		if _, err := svc.Say(t.Context(), ada, room, chat.Words{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	messages, err := f.store.Messages(t.Context(), room, 0, 10)
	if err != nil || len(messages) != 4 || fmt.Sprint(out.said) != "[2 3 a 3 4 b]" {
		t.Errorf("%d messages, published %v, %v", len(messages), out.said, err)
	}
}

// What was stopped while its server was dead has been stopped, whoever ends it:
// the answer that was being given, and that to what waited.
func TestStoppedOnADeadServer(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	room := f.room(ada)
	for range 2 {
		if _, err := f.store.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, Text: "x", Owner: "dead"}, 100); err != nil {
			t.Fatal(err)
		}
	}
	if stopped, err := f.svc.Stop(t.Context(), ada, room); err != nil || !stopped {
		t.Fatal(stopped, err)
	}
	if err := f.svc.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := <-f.said; got != "Stopped." {
			t.Errorf("answered with %q", got)
		}
	}
	if got := f.finishes(room); !slices.Equal(got, []string{"", "", "stopped", "stopped"}) {
		t.Errorf("ended as %v", got)
	}
}

// An instance that was late, and is there before anybody has noticed, answers
// what waited.
func TestLateForAMoment(t *testing.T) {
	var owner atomic.Value
	owner.Store("one")
	goOn := make(chan struct{})
	f := newFixture(t, chat.Options{Owner: func() string { return owner.Load().(string) }}, func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
		if turn.Message.Text == "first" {
			<-goOn
		}
		return chat.Reply{Text: turn.Message.Text}, nil
	})
	room := f.room(ada)
	f.say(room, "first", chat.None)
	f.say(room, "second", chat.None)
	owner.Store("")
	close(goOn)
	for _, want := range []string{"first", "second", "third"} {
		select {
		case got := <-f.said:
			if got != want {
				t.Errorf("answered with %q, not %q", got, want)
			}
		case <-time.After(eventually.Patience):
			t.Fatal("the room is locked")
		}
		if want == "second" {
			owner.Store("one")
			f.say(room, "third", chat.None)
		}
	}
}

// deaf is a store that stores what it is told, once, and says that it failed.
type deaf struct {
	chat.Store
	append, take atomic.Bool
}

func (s *deaf) Append(ctx context.Context, m chat.Message, open int) (chat.Message, error) {
	stored, err := s.Store.Append(ctx, m, open)
	if err == nil && s.append.CompareAndSwap(true, false) {
		return chat.Message{}, errors.New("the connection is gone")
	}
	return stored, err
}

func (s *deaf) Take(ctx context.Context, m chat.Message, to string) (bool, error) {
	taken, err := s.Store.Take(ctx, m, to)
	if taken && s.take.CompareAndSwap(true, false) {
		return false, errors.New("the connection is gone")
	}
	return taken, err
}

// A message that was stored without its server hearing so locks no room: neither
// when it is said nor when it is taken over.
func TestStoredUnheard(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	room := f.room(ada)
	if _, err := f.store.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, Text: "one", Owner: "dead"}, 100); err != nil {
		t.Fatal(err)
	}
	unheard := &deaf{Store: f.store}
	svc := chat.NewService(chat.Options{Store: unheard, Publisher: f, Logger: discard, Assistant: assistantFunc(echo)})
	unheard.take.Store(true)
	if err := svc.Recover(t.Context()); err == nil {
		t.Error("it heard that it was stored")
	}
	for _, failed := range []bool{true, false} {
		unheard.append.Store(failed)
		if _, err := svc.Say(t.Context(), ada, room, chat.Words{Text: "two"}); failed == (err == nil) {
			t.Errorf("said: %v", err)
		}
	}
	for _, want := range []string{"interrupted", "interrupted", "two"} {
		select {
		case got := <-f.said:
			if !strings.Contains(got, want) {
				t.Errorf("answered with %q, not %q", got, want)
			}
		case <-time.After(eventually.Patience):
			t.Fatal("the room is locked")
		}
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
