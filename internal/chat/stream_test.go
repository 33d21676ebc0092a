package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

// speaker is an assistant that says what it is given, a piece at a time.
type speaker struct {
	pieces chan string // closed when it has said everything
	began  chan struct{}
}

func newSpeaker() *speaker { return &speaker{make(chan string), make(chan struct{}, 100)} }

func (a *speaker) Reply(ctx context.Context, _ chat.Turn, out chat.Out) (chat.Reply, error) {
	a.began <- struct{}{}
	for {
		select {
		case piece, more := <-a.pieces:
			if !more {
				return chat.Reply{}, nil
			}
			if err := out.Text(piece); err != nil {
				return chat.Reply{}, err
			}
		case <-ctx.Done():
			return chat.Reply{}, ctx.Err()
		}
	}
}

// listener is a client that follows a conversation and its stream.
type listener struct {
	mu     sync.Mutex
	last   uint64 // in the stream
	text   string // as the pieces say
	ends   []events.AIChatBotStreamEnd
	said   []string
	broken []string
}

func (l *listener) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(string(room), "chat_stream:") && pos.Offset > 0 {
		if pos.Offset <= l.last {
			return nil // as rooms do
		}
		if pos.Prev != l.last {
			l.broken = append(l.broken, fmt.Sprintf("%d follows %d, not %d", pos.Offset, pos.Prev, l.last))
		}
		l.last = pos.Offset
	}
	switch p := p.(type) {
	case events.AIChatBotStreamStart:
		l.text = ""
	case events.AIChatBotStreamDelta:
		before := []rune(l.text) // no pairs in these tests
		if p.At != len(before) && p.At != 0 {
			l.broken = append(l.broken, fmt.Sprintf("a piece at %d, of %d", p.At, len(l.text)))
		}
		l.text = string(before[:p.At]) + p.Text
	case events.AIChatBotStreamEnd:
		l.ends = append(l.ends, p)
		if p.Text != l.text {
			l.broken = append(l.broken, fmt.Sprintf("pieces make %q, the end says %q", l.text, p.Text))
		}
	case events.AIChatBotMessage:
		l.said = append(l.said, p.Text)
	}
	return nil
}

func (l *listener) heard() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// end waits for the n-th end.
func (l *listener) end(t *testing.T, n int) (e events.AIChatBotStreamEnd) {
	t.Helper()
	eventually.True(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.said) < n {
			return false
		}
		e = l.ends[n-1]
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.broken {
		t.Error(b)
	}
	if len(l.ends) != n || len(l.said) != n || l.said[n-1] != e.Text {
		t.Errorf("%d ends, and messages %q", len(l.ends), l.said)
	}
	return e
}

func newStreams(t *testing.T, a chat.Assistant, change ...func(*chat.Options)) (*chat.Service, *listener, chat.Store) {
	t.Helper()
	db := sqlitetest.Open(t)
	l := &listener{}
	opts := chat.Options{Store: db.Chats(), Publisher: l, Assistant: a, Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&opts)
	}
	svc := chat.NewService(opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		svc.Close(ctx)
		db.Close()
	})
	return svc, l, db.Chats()
}

func begin(t *testing.T, svc *chat.Service, text string) string {
	t.Helper()
	r, err := svc.Open(t.Context(), ada, "")
	if err != nil {
		t.Fatal(err)
	}
	say(t, svc, r.ID, text)
	return r.ID
}

func say(t *testing.T, svc *chat.Service, room, text string) {
	t.Helper()
	if _, err := svc.Say(t.Context(), ada, room, chat.Words{Text: text}); err != nil {
		t.Fatal(err)
	}
}

// unsteady is a store that fails to store pieces, or stores them and says that
// it failed.
type unsteady struct {
	chat.Store
	mu     sync.Mutex
	writes int
}

func (s *unsteady) AddToStream(ctx context.Context, pieces []chat.Piece) ([]error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.writes%3 == 0 {
		return nil, errors.New("the database is away")
	}
	refused, err := s.Store.AddToStream(ctx, pieces)
	if s.writes%3 == 1 {
		return nil, errors.New("the connection is gone")
	}
	return refused, err
}

// A short failure of the store ends no answer, and a piece that was stored
// without its server hearing so is said once.
func TestPieceStoredUnheard(t *testing.T) {
	a := newSpeaker()
	store := &unsteady{}
	svc, l, _ := newStreams(t, a, func(o *chat.Options) { store.Store, o.Store = o.Store, store })
	begin(t, svc, "go")
	want := ""
	for i := range 5 {
		piece := fmt.Sprint(i, " ")
		a.pieces <- piece
		want += piece
		eventually.True(t, func() bool { return l.heard() == want })
	}
	close(a.pieces)
	if e := l.end(t, 1); e.FinishReason != "stop" || e.Text != want {
		t.Errorf("%+v", e)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	if store.writes < 8 {
		t.Errorf("only %d writes: nothing failed", store.writes)
	}
}

// What the assistant says is heard before it has said everything: the pieces
// make the answer, in order, and who comes in the middle gets them as one.
func TestStream(t *testing.T) {
	a := newSpeaker()
	svc, l, _ := newStreams(t, a)
	room := begin(t, svc, "go")
	a.pieces <- "first"
	eventually.True(t, func() bool { return l.heard() == "first" })
	for i := range 50 {
		a.pieces <- fmt.Sprint(" ", i, " ü")
	}
	eventually.True(t, func() bool { return strings.HasSuffix(l.heard(), " 49 ü") })
	all, err := svc.Streamed(t.Context(), room, 0, math.MaxInt64)
	if err != nil || len(all) != 2 || all[0].Kind != chat.StreamStart || all[1].Kind != chat.Delta || all[1].Prev != all[0].Seq {
		t.Fatalf("%+v, %v", all, err)
	}
	var d events.AIChatBotStreamDelta
	if err := json.Unmarshal(all[1].Data, &d); err != nil || d.At != 0 || d.Text != l.heard() {
		t.Errorf("%+v, %v", d, err)
	}
	l.mu.Lock()
	pieces := l.last - 1
	l.mu.Unlock()
	if pieces > 25 {
		t.Errorf("51 pieces were passed on as %d", pieces)
	}
	close(a.pieces)
	if e := l.end(t, 1); e.FinishReason != "stop" || !strings.HasPrefix(e.Text, "first 0 ü") {
		t.Errorf("%+v", e)
	}
	if left, err := svc.Streamed(t.Context(), room, all[0].Seq, math.MaxInt64); err != nil || len(left) != 1 || left[0].Kind != chat.StreamEnd || left[0].Prev != all[0].Seq {
		t.Errorf("%+v, %v", left, err)
	}
	// An end is there for a while: a server that fell behind has missed it.
	say(t, svc, room, "again")
	l.end(t, 2)
	if left, err := svc.Streamed(t.Context(), room, all[0].Seq, math.MaxInt64); err != nil || len(left) != 2 || left[0].Kind != chat.StreamEnd || left[1].Kind != chat.StreamEnd {
		t.Errorf("%+v, %v", left, err)
	}
}

// An answer that is stopped keeps what was said; stopping again, or before a
// word, is fine, and what is said afterwards is answered.
func TestStop(t *testing.T) {
	a := newSpeaker()
	svc, l, _ := newStreams(t, a)
	stop := func(room string, want bool) {
		t.Helper()
		if stopped, err := svc.Stop(t.Context(), ada, room); err != nil || stopped != want {
			t.Errorf("%v, %v", stopped, err)
		}
	}
	room := begin(t, svc, "go")
	<-a.began
	a.pieces <- "some"
	eventually.True(t, func() bool { return l.heard() == "some" })
	stop(room, true)
	if e := l.end(t, 1); e.FinishReason != "stopped" || e.Text != "some" {
		t.Errorf("%+v", e)
	}
	stop(room, false)
	say(t, svc, room, "again")
	<-a.began
	stop(room, true)
	if e := l.end(t, 2); e.FinishReason != "stopped" || e.Text != "Stopped." {
		t.Errorf("%+v", e)
	}
	say(t, svc, room, "and again")
	<-a.began
	a.pieces <- "done"
	close(a.pieces)
	if e := l.end(t, 3); e.FinishReason != "stop" || e.Text != "done" {
		t.Errorf("%+v", e)
	}
	if _, err := svc.Stop(t.Context(), bob, room); code(err) != events.CodeNotFound {
		t.Errorf("a stranger stops it: %v", err)
	}
}

// An assistant that fails in the middle keeps what it said, and says so.
func TestFailureInTheMiddle(t *testing.T) {
	svc, l, _ := newStreams(t, failing{})
	begin(t, svc, "go")
	if e := l.end(t, 1); e.FinishReason != "error" || !strings.HasPrefix(e.Text, "half of\n\nSomething went wrong") {
		t.Errorf("%+v", e)
	}
}

type failing struct{}

func (failing) Reply(_ context.Context, _ chat.Turn, out chat.Out) (chat.Reply, error) {
	out.Text("half of")
	return chat.Reply{}, errors.New("no more")
}

// What a server has said of an answer when it dies is kept by the one that ends
// the turn.
func TestStreamOfADeadServer(t *testing.T) {
	a := newSpeaker()
	svc, l, store := newStreams(t, a)
	room := begin(t, svc, "go")
	a.pieces <- "half of"
	eventually.True(t, func() bool { return l.heard() == "half of" })
	other := chat.NewService(chat.Options{Store: store, Publisher: l, Assistant: a, Logger: slog.New(slog.DiscardHandler)})
	if err := other.Recover(t.Context()); err != nil { // the owner is in no table of instances
		t.Fatal(err)
	}
	if e := l.end(t, 1); e.FinishReason != "interrupted" || !strings.HasPrefix(e.Text, "half of\n\nI was interrupted") {
		t.Errorf("%+v", e)
	}
	a.pieces <- " too late"
	close(a.pieces)
	messages, err := store.Messages(t.Context(), room, 0, 10)
	if err != nil || len(messages) != 2 || messages[1].Finish != chat.FinishInterrupted {
		t.Errorf("%+v, %v", messages, err)
	}
}

// unanswered is a store that is away when answers are to be stored.
type unanswered struct{ chat.Store }

func (unanswered) Answer(context.Context, chat.Message, chat.Message, chat.Entry, chat.Aftermath) (chat.Message, error) {
	return chat.Message{}, errors.New("the database is away")
}

// A turn that is taken over from who has taken it over says once that it was
// interrupted.
func TestTakenOverTwice(t *testing.T) {
	for _, before := range []string{"half of", ""} {
		a := newSpeaker()
		svc, l, store := newStreams(t, a)
		begin(t, svc, "go")
		<-a.began
		if before != "" {
			a.pieces <- before
			eventually.True(t, func() bool { return l.heard() == before })
		}
		first := chat.NewService(chat.Options{Store: unanswered{store}, Publisher: l, Logger: discard})
		if err := first.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually.True(t, func() bool { return strings.HasSuffix(l.heard(), "Please ask again.") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		first.Close(ctx)
		second := chat.NewService(chat.Options{Store: store, Publisher: l, Logger: discard})
		if err := second.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimPrefix(before+"\n\nI was interrupted before I could answer. Please ask again.", "\n\n")
		if e := l.end(t, 1); e.FinishReason != "interrupted" || e.Text != want {
			t.Errorf("%+v", e)
		}
		if err := second.Close(t.Context()); err != nil {
			t.Error(err)
		}
		close(a.pieces)
	}
}

// When the time to close runs out answers are cut short, and stored before the
// database is closed.
func TestCutShortAndStored(t *testing.T) {
	a := newSpeaker()
	svc, l, store := newStreams(t, a)
	room := begin(t, svc, "go")
	a.pieces <- "half of"
	eventually.True(t, func() bool { return l.heard() == "half of" })
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if err := svc.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	messages, err := store.Messages(t.Context(), room, 0, 10)
	if err != nil || len(messages) != 2 || messages[1].Finish != chat.FinishInterrupted || !strings.HasPrefix(messages[1].Text, "half of\n\nI was interrupted") {
		t.Errorf("%+v, %v", messages, err)
	}
}

// cutOff are instances that cannot be reached.
type cutOff struct{}

func (cutOff) Call(context.Context, string, string, []byte) ([]byte, error) {
	return nil, errors.New("the bus is away")
}

// Stop stops also what a server says that cannot be told.
func TestStopOfWhoCannotBeTold(t *testing.T) {
	a := newSpeaker()
	svc, l, store := newStreams(t, a)
	room := begin(t, svc, "go")
	a.pieces <- "some"
	eventually.True(t, func() bool { return l.heard() == "some" })
	other := chat.NewService(chat.Options{Store: store, Publisher: l, Peers: cutOff{}, Logger: discard})
	if stopped, err := other.Stop(t.Context(), ada, room); err != nil || !stopped {
		t.Errorf("%v, %v", stopped, err)
	}
	a.pieces <- " more"
	if e := l.end(t, 1); e.FinishReason != "stopped" || e.Text != "some more" {
		t.Errorf("%+v", e)
	}
	if err := other.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
