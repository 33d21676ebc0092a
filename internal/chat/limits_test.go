package chat_test

import (
	"bytes"
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

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/eventually"
)

// used is what a tenant has used today.
func used(t *testing.T, s chat.Store) chat.Usage {
	t.Helper()
	u, err := s.Used(t.Context(), "acme", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (f *fixture) finishes(room string) (all []string) {
	f.t.Helper()
	messages, err := f.store.Messages(f.t.Context(), room, 0, 100)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range messages {
		all = append(all, string(m.Finish))
	}
	return all
}

// Who has used the tokens of the day is refused, and no model hears of it, also
// not later.
func TestTokensPerDay(t *testing.T) {
	var heard []string
	f := newFixture(t, chat.Options{TokensPerDay: 25}, func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
		for _, m := range append(turn.History, turn.Message) {
			heard = append(heard, m.Text)
		}
		return chat.Reply{Text: "yes", Usage: chat.Usage{Prompt: 6, Completion: 4}}, nil
	})
	room := f.room(ada)
	for i, want := range []string{"yes", "yes", "yes", "the 25 tokens that tenant acme has for a day are used up", "used up"} {
		f.say(room, fmt.Sprint("question ", i), chat.None)
		if got := <-f.said; !strings.Contains(got, want) {
			t.Errorf("%d: %q", i, got)
		}
	}
	if u := used(t, f.store); u.Prompt != 18 || u.Completion != 12 {
		t.Errorf("%+v", u)
	}
	if got := fmt.Sprint(f.finishes(room)); got != "[ stop  stop  stop refused refused refused refused]" {
		t.Error(got)
	}
	c := f.svc.Counts()
	if c.Ended[chat.FinishStop] != 3 || c.Ended[chat.FinishRefused] != 2 || c.Prompt != 18 || c.Completion != 12 || c.FirstCount != 3 || c.First[60] != 3 || c.FirstSum <= 0 {
		t.Errorf("%+v", c)
	}
	eventually.True(t, func() bool { return f.svc.Counts().Live == 0 })

	// Other tenants are none of its business, and a new limit shows what was
	// refused to nobody.
	svc := chat.NewService(chat.Options{Store: f.store, Publisher: f, Assistant: assistantFunc(func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
		return chat.Reply{Text: fmt.Sprint(len(turn.History))}, nil
	}), Logger: slog.New(slog.DiscardHandler), TokensPerDay: 1000})
	say(t, svc, room, "now")
	if got := <-f.said; got != "6" {
		t.Errorf("the assistant gets %s earlier messages", got)
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// moderator judges by a function.
type moderator func(u chat.Utterance) (bool, string, error)

func (m moderator) Judge(_ context.Context, u chat.Utterance) (bool, string, error) { return m(u) }

// willing tools take every proposal.
type willing struct{ chat.Tools }

func (willing) Check(_ context.Context, _ *auth.Identity, p chat.Proposal) (chat.Proposal, error) {
	return p, nil
}

// What may not be said does not reach the assistant, or is withdrawn.
func TestModeration(t *testing.T) {
	var mu sync.Mutex
	var judged []string
	judge := func(u chat.Utterance) (bool, string, error) {
		mu.Lock()
		defer mu.Unlock()
		judged = append(judged, fmt.Sprint(u.Tenant, " ", u.User, " ", u.Direction, " ", u.Text))
		if strings.Contains(u.Text, "broken") {
			return false, "", errors.New("no answer")
		}
		return !strings.Contains(u.Text, "bad"), map[bool]string{true: "it is bad"}[strings.Contains(u.Text, "very")], nil
	}
	for allow, want := range map[bool][]string{
		false: {"echo hello", "I may not answer that.", "I may not answer that: it is bad.", "I may not say what I was going to say.", "I cannot answer now", "I cannot say now"},
		true:  {"echo hello", "I may not answer that.", "I may not answer that: it is bad.", "I may not say what I was going to say.", "echo broken", "a broken answer"},
	} {
		var asked []string
		f := newFixture(t, chat.Options{Moderator: moderator(judge), AllowUnjudged: allow, Tools: willing{}}, func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
			asked = append(asked, turn.Message.Text)
			for _, m := range turn.History {
				if strings.Contains(m.Text, "bad") || strings.Contains(m.Text, "I may not") {
					t.Errorf("the assistant is told of %q", m.Text)
				}
			}
			switch turn.Message.Text {
			case "tempt":
				return chat.Reply{Text: "a bad answer", Propose: []chat.Proposal{{Tool: "t", Title: "bad", Arguments: []byte("{}")}}, Usage: chat.Usage{Prompt: 1, Completion: 2}}, nil
			case "confuse":
				return chat.Reply{Text: "a broken answer"}, nil
			}
			return chat.Reply{Text: "echo " + turn.Message.Text}, nil
		})
		room := f.room(ada)
		for i, text := range []string{"hello", "bad", "very bad", "tempt", "broken", "confuse"} {
			f.say(room, text, chat.None)
			if got := <-f.said; !strings.HasPrefix(got, want[i]) {
				t.Errorf("%q: %q", text, got)
			}
		}
		refused, mute, unjudged := int64(5), 3, int64(2)
		if allow {
			refused, mute, unjudged = 3, 4, 3
		}
		if c := f.svc.Counts(); c.Ended[chat.FinishRefused] != refused || len(asked) != mute || c.Unjudged != unjudged {
			t.Errorf("allow %v: %+v, asked %q", allow, c, asked)
		}
		if u := used(t, f.store); u.Prompt != 1 || u.Completion != 2 {
			t.Errorf("%+v", u)
		}
		if open, err := f.store.OpenApprovals(t.Context(), room); err != nil || len(open) != 0 {
			t.Errorf("what was refused can be approved: %+v, %v", open, err)
		}
	}
	if judged[0] != "acme ada prompt hello" || judged[1] != "acme ada completion echo hello" {
		t.Errorf("%q", judged)
	}
}

// An answer that may not be said is taken back from those who heard it come.
func TestWithdrawn(t *testing.T) {
	a := newSpeaker()
	_, l, store := newStreams(t, a)
	svc := chat.NewService(chat.Options{
		Store: store, Publisher: l, Assistant: a, Logger: slog.New(slog.DiscardHandler),
		Moderator: moderator(func(u chat.Utterance) (bool, string, error) { return u.Direction == chat.Prompt, "", nil }),
	})
	room := begin(t, svc, "go")
	a.pieces <- "something"
	eventually.True(t, func() bool { return l.heard() == "something" })
	a.pieces <- " bad"
	if stopped, err := svc.Stop(t.Context(), ada, room); !stopped || err != nil {
		t.Error(stopped, err)
	}
	if e := l.end(t, 1); e.FinishReason != "refused" || e.Text != "I may not say what I was going to say." {
		t.Errorf("%+v", e)
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Texts are in no log, unless that is wanted.
func TestLogPrompts(t *testing.T) {
	for _, on := range []bool{false, true} {
		var log bytes.Buffer
		opts := chat.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), LogPrompts: on}
		f := newFixture(t, opts, func(_ context.Context, turn chat.Turn) (chat.Reply, error) {
			if turn.Message.Text == "strange words" {
				return chat.Reply{}, fmt.Errorf("wrapped: %w", events.Errorf(events.CodeConflict, "%s are not known", turn.Message.Text))
			}
			return chat.Reply{Text: "kind reply"}, nil
		})
		room := f.room(ada)
		for _, text := range []string{"private words", "strange words"} {
			f.say(room, text, chat.None)
			<-f.said
		}
		for _, text := range []string{"private words", "strange words", "kind reply"} {
			if strings.Contains(log.String(), text) != on {
				t.Errorf("logging is %v:\n%s", on, &log)
			}
		}
	}
}

// talker is an assistant made of a function, which may say things on the way.
type talker func(ctx context.Context, t chat.Turn, out chat.Out) (chat.Reply, error)

func (f talker) Reply(ctx context.Context, t chat.Turn, out chat.Out) (chat.Reply, error) {
	return f(ctx, t, out)
}

// What an answer took is counted however it ended.
func TestUsageOfWhatFails(t *testing.T) {
	f := newFixture(t, chat.Options{}, nil)
	began := make(chan struct{}, 1)
	svc := chat.NewService(chat.Options{
		Store: f.store, Publisher: f, Logger: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second,
		Estimate: func(turn chat.Turn, said string) chat.Usage {
			return chat.Usage{Prompt: 1000 * (len(turn.History) + 1), Completion: len(said), Estimated: true}
		},
		Assistant: talker(func(ctx context.Context, turn chat.Turn, out chat.Out) (chat.Reply, error) {
			u := chat.Usage{Prompt: 10, Completion: 3}
			switch turn.Message.Text {
			case "fail":
				return chat.Reply{Usage: u}, errors.New("no more")
			case "stop":
				began <- struct{}{}
				<-ctx.Done()
				return chat.Reply{Usage: u}, ctx.Err()
			case "panic":
				out.Text("four")
				panic("boom")
			}
			panic("at once")
		}),
	})
	room := f.room(ada)
	for text, want := range map[string]chat.Usage{"fail": {Prompt: 10, Completion: 3}, "stop": {Prompt: 10, Completion: 3}, "panic": {Prompt: 1000, Completion: 4}, "?": {}} {
		before := used(t, f.store)
		messages, err := f.store.Messages(t.Context(), room, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		say(t, svc, room, text)
		if text == "stop" {
			<-began
			if _, err := svc.Stop(t.Context(), ada, room); err != nil {
				t.Error(err)
			}
		}
		<-f.said
		if want.Prompt == 1000 {
			want.Prompt += 1000 * len(messages)
		}
		if after := used(t, f.store); after.Prompt-before.Prompt != want.Prompt || after.Completion-before.Completion != want.Completion {
			t.Errorf("%s: %+v after %+v, want %+v", text, after, before, want)
		}
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What a dead server's turn took is guessed by the one that ends it, if it had
// begun; what was said may be refused there, too.
func TestUsageOfADeadServer(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		a := newSpeaker()
		svc, l, store := newStreams(t, a)
		room := begin(t, svc, "go")
		a.pieces <- "half of"
		eventually.True(t, func() bool { return l.heard() == "half of" })
		say(t, svc, room, "next") // waits, so nobody was asked
		other := chat.NewService(chat.Options{
			Store: store, Publisher: l, Logger: slog.New(slog.DiscardHandler),
			Estimate: func(_ chat.Turn, said string) chat.Usage {
				return chat.Usage{Prompt: 7, Completion: len(said), Estimated: true}
			},
			Moderator: moderator(func(u chat.Utterance) (bool, string, error) { return allowed || u.Direction == chat.Prompt, "", nil }),
		})
		if err := other.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := other.Close(t.Context()); err != nil {
			t.Error(err)
		}
		e := l.end(t, 2)
		if u := used(t, store); u.Prompt != 7 || u.Completion != 7 {
			t.Errorf("%+v", u)
		}
		c := other.Counts()
		if e.FinishReason != "interrupted" || c.Ended[chat.FinishInterrupted]+c.Ended[chat.FinishRefused] != 2 || c.Ended[chat.FinishRefused] != map[bool]int64{false: 1}[allowed] {
			t.Errorf("%+v, %+v", e, c)
		}
		close(a.pieces)
	}
}

// Who waits for another server's turn of the room keeps nobody from a slot.
func TestWaitingHoldsNoSlot(t *testing.T) {
	goOn := make(chan struct{})
	f := newFixture(t, chat.Options{}, func(context.Context, chat.Turn) (chat.Reply, error) {
		<-goOn
		return chat.Reply{Text: "at last"}, nil
	})
	room, another := f.room(ada), f.room(ada)
	f.say(room, "first", chat.None)
	here := chat.NewService(chat.Options{Store: f.store, Publisher: f, Assistant: assistantFunc(echo), Logger: slog.New(slog.DiscardHandler), Turns: 1})
	say(t, here, room, "second")
	say(t, here, another, "meanwhile")
	if got := <-f.said; got != "meanwhile" {
		t.Errorf("said %q", got)
	}
	close(goOn)
	rest := []string{<-f.said, <-f.said} // two servers publish
	slices.Sort(rest)
	if fmt.Sprint(rest) != "[at last second]" {
		t.Errorf("said %q", rest)
	}
	if err := here.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// A message that is taken over waits for an earlier one that a server which is
// there answers; it is not forgotten.
func TestTakenOverBehindAnother(t *testing.T) {
	goOn := make(chan struct{})
	f := newFixture(t, chat.Options{}, func(context.Context, chat.Turn) (chat.Reply, error) {
		<-goOn
		return chat.Reply{Text: "at last"}, nil
	})
	room := f.room(ada)
	f.say(room, "first", chat.None)
	if _, err := f.store.Append(t.Context(), chat.Message{RoomID: room, Speaker: chat.User, Text: "x", Owner: "dead"}, 100); err != nil {
		t.Fatal(err)
	}
	if err := f.svc.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.say(room, "third", chat.None)
	close(goOn)
	said := []string{<-f.said, <-f.said, <-f.said}
	slices.Sort(said)
	if !strings.HasPrefix(said[0], "I was interrupted") || said[1] != "at last" || said[2] != "at last" {
		t.Errorf("said %q", said)
	}
}

// away is a store that cannot begin turns for a while.
type away struct {
	chat.Store
	left atomic.Int32
}

func (s *away) BeginTurn(ctx context.Context, m chat.Message, start chat.Entry) (uint64, bool, error) {
	if s.left.Add(-1) >= 0 {
		return 0, false, errors.New("the store is away")
	}
	return s.Store.BeginTurn(ctx, m, start)
}

// A store that fails when a turn begins does not leave the message, and with it
// the room, behind.
func TestStoreFailsBeforeATurn(t *testing.T) {
	f := newFixture(t, chat.Options{}, echo)
	s := &away{Store: f.store}
	s.left.Store(2)
	svc := chat.NewService(chat.Options{Store: s, Publisher: f, Assistant: assistantFunc(echo), Logger: slog.New(slog.DiscardHandler)})
	room := f.room(ada)
	say(t, svc, room, "one")
	if got := <-f.said; got != "one" {
		t.Errorf("said %q", got)
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
