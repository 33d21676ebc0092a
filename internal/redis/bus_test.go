package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

var adapters = []string{Classic, Sharded, Streams}

// forEach runs a test with each adapter.
func forEach(t *testing.T, test func(t *testing.T, adapter string)) {
	t.Parallel()
	for _, a := range adapters {
		t.Run(a, func(t *testing.T) {
			t.Parallel()
			test(t, a)
		})
	}
}

// A member is a bus and what its receiver was given.
type member struct {
	*Bus
	t    *testing.T
	stop func()

	mu        sync.Mutex
	messages  []*cluster.Message
	responses []*cluster.Response
	notes     []cluster.Note
	entered   []string
	resyncs   int
	answer    func(m *cluster.Message)
}

func settings(s *redistest.Server, adapter string) Options {
	return Options{
		URL: s.URL(), Adapter: adapter, Prefix: "socket.io", Stream: Stream{Name: "socket.io", MaxLen: 10000, Count: 1},
		Timeout: 500 * time.Millisecond, DialTimeout: time.Second, MaxWait: 200 * time.Millisecond,
		QueueLength: 5000, QueueBytes: 16 << 20, Log: slog.New(slog.DiscardHandler),
	}
}

// join starts a bus that hears "/" and "/other", and waits until it is up.
func join(t *testing.T, o Options) *member {
	t.Helper()
	m := enlist(t, o)
	m.start()
	m.await("it is up", func() bool { return m.Status().Up })
	return m
}

// enlist makes a bus that does not run yet.
func enlist(t *testing.T, o Options) *member {
	t.Helper()
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{Bus: b, t: t}
	b.Listen("topic", func(n cluster.Note) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.notes = append(m.notes, n)
	})
	b.Open([]string{"/", "/other"}, m)
	return m
}

func (m *member) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				m.t.Error(err)
			}
		case <-time.After(eventually.Patience):
			m.t.Error("Run does not end")
		}
	})
	m.t.Cleanup(m.stop)
}

func (m *member) Receive(msg *cluster.Message) {
	m.mu.Lock()
	m.messages = append(m.messages, msg)
	answer := m.answer
	m.mu.Unlock()
	if answer != nil {
		answer(msg)
	}
}

func (m *member) Respond(_ string, r *cluster.Response) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.responses = append(m.responses, r)
}

func (m *member) Resync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resyncs++
}

func (m *member) Entered(namespace, room string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entered = append(m.entered, namespace+" "+room)
}

// member has two Responds.
var _ cluster.Receiver = (*member)(nil)

func (m *member) got() []*cluster.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.messages)
}

func (m *member) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages, m.responses, m.notes, m.resyncs = nil, nil, nil, 0
}

func (m *member) resynced() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resyncs
}

func (m *member) await(what string, condition func() bool) {
	m.t.Helper()
	eventually.True(m.t, condition, func() string {
		return fmt.Sprintf("%s: not within %v; %+v, %d messages", what, eventually.Patience, m.Status(), len(m.got()))
	})
}

// texts are the second arguments of the events.
func texts(messages []*cluster.Message) (list []string) {
	for _, msg := range messages {
		if msg.Kind == cluster.Broadcast && len(msg.Packet.Args) > 1 {
			var s string
			_ = json.Unmarshal(msg.Packet.Args[1], &s)
			list = append(list, s)
		}
	}
	return list
}

// awaitTexts waits for as many events, and compares.
func (m *member) awaitTexts(want []string) {
	m.t.Helper()
	m.await("all events", func() bool { return len(texts(m.got())) >= len(want) })
	if got := texts(m.got()); !slices.Equal(got, want) {
		m.t.Errorf("got %d events, want %d; they part at %s", len(got), len(want), part(got, want))
	}
}

func part(got, want []string) string {
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			return fmt.Sprintf("%d: got %q, want %q", i, got[i:min(i+5, len(got))], want[min(i, len(want)):min(i+5, len(want))])
		}
	}
	return "the end"
}

func say(text string) *cluster.Message {
	return &cluster.Message{Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{Args: []json.RawMessage{json.RawMessage(`"e"`), mustJSON(text)}}}
}

func mustJSON(v any) json.RawMessage {
	js, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return js
}

// count are the texts from a number up to another.
func count(prefix string, from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, fmt.Sprint(prefix, i))
	}
	return list
}

func (m *member) sayAll(list []string) {
	for _, s := range list {
		m.Publish(say(s))
	}
}

// Nothing runs on when Run has ended.
func TestEnd(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	before := runtime.NumGoroutine()
	for _, a := range adapters {
		m := join(t, settings(s, a))
		m.Publish(say("x"))
		m.link.Load().fail(errors.New("told to"))
		m.await("it came back", func() bool { st := m.Status(); return st.Up && st.Reconnects == 1 })
		m.stop()
		m.Publish(say("late"))
	}
	eventually.True(t, func() bool { return runtime.NumGoroutine() <= before }, func() string {
		all := make([]byte, 1<<20)
		return string(all[:runtime.Stack(all, true)])
	})
}
