package history_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

type fixture struct {
	*history.Service
	store history.Store

	mu  sync.Mutex
	got map[events.Room][]string // what was published
}

func (f *fixture) PublishRaw(room events.Room, pos cluster.Position, event string, data json.RawMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got[room] = append(f.got[room], fmt.Sprintf("%d-%d %s %s", pos.Prev, pos.Offset, event, data))
}

func newFixture(t testing.TB, change func(*history.Options)) *fixture {
	t.Helper()
	db := sqlitetest.Open(t)
	f := &fixture{store: db.History(), got: map[events.Room][]string{}}
	opts := history.Options{Store: f.store, Publisher: f, Epoch: "e1", Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&opts)
	}
	f.Service = history.New(opts)
	t.Cleanup(func() {
		f.Close()
		db.Close()
	})
	return f
}

func (f *fixture) publish(t testing.TB, room events.Room, n int) {
	t.Helper()
	messages := make([]history.Message, n)
	for i := range messages {
		messages[i] = history.Message{Room: room, Event: "e", Data: json.RawMessage(fmt.Sprintf(`{"i":%d}`, i))}
	}
	for _, r := range f.PublishAll(t.Context(), messages) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// What many publish at once is published in the order of its numbers, each
// with the number in its payload, and found under it.
func TestPublishInOrder(t *testing.T) {
	f := newFixture(t, nil)
	const publishers, each = 8, 50
	var all sync.WaitGroup
	for i := range publishers {
		all.Go(func() {
			room := events.Room(fmt.Sprint("tenant:", i%2))
			for n := range each {
				if _, err := f.Publish(t.Context(), room, events.ListenerEvent{Limit: n}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, room := range []events.Room{"tenant:0", "tenant:1"} {
		entries, gap, head, err := f.Since(t.Context(), room, "e1", 0, 1000)
		if err != nil || gap != nil || len(entries) != publishers*each/2 || head != (cluster.Position{Epoch: "e1", Offset: 200, Prev: 199}) {
			t.Fatalf("%d entries, gap %v, head %v, %v", len(entries), gap, head, err)
		}
		for i, line := range f.got[room] {
			e := entries[i]
			want := fmt.Sprintf("%d-%d %s %s", i, i+1, e.Event, events.WithOffset(e.Data, e.Offset))
			if e.Offset != uint64(i+1) || line != want || !strings.HasSuffix(line, fmt.Sprintf(`,"offset":%d}`, i+1)) {
				t.Fatalf("publication %d is %s, want %s", i, line, want)
			}
		}
	}
}

func TestSince(t *testing.T) {
	f := newFixture(t, func(o *history.Options) { o.Count = 4 })
	f.publish(t, "tenant:a", 10)
	if err := f.Trim(t.Context()); err != nil { // leaves 7 to 10
		t.Fatal(err)
	}
	f.publish(t, "tenant:whole", 3)
	for name, tt := range map[string]struct {
		room  events.Room
		epoch string
		after uint64
		limit int
		want  string
	}{
		"at the head":                {"tenant:a", "e1", 10, 100, "head 10"},
		"one behind":                 {"tenant:a", "e1", 9, 100, "10 head 10"},
		"all that is kept":           {"tenant:a", "e1", 6, 100, "7 8 9 10 head 10"},
		"trimmed in the middle":      {"tenant:a", "e1", 3, 100, "gap 4-6 trimmed 7 8 9 10 head 10"},
		"from the beginning":         {"tenant:a", "e1", 0, 100, "gap 1-6 trimmed 7 8 9 10 head 10"},
		"a page":                     {"tenant:a", "e1", 0, 2, "gap 1-6 trimmed 7 8 head 10"},
		"from the future":            {"tenant:a", "e1", 12, 100, "gap 11-12 unknown head 10"},
		"another epoch":              {"tenant:a", "e0", 9, 100, "gap 0-6 epoch 7 8 9 10 head 10"},
		"another epoch, all is kept": {"tenant:whole", "e0", 900, 100, "gap 0-0 epoch 1 2 3 head 3"},
		"no epoch":                   {"tenant:whole", "", 2, 100, "3 head 3"},
		"nothing was published":      {"tenant:none", "e1", 0, 100, "head 0"},
		"nothing, from the future":   {"tenant:none", "e1", 1, 100, "gap 1-1 unknown head 0"},
		"nothing, another epoch":     {"tenant:none", "e0", 5, 100, "gap 0-0 epoch head 0"},
	} {
		entries, gap, head, err := f.Since(t.Context(), tt.room, tt.epoch, tt.after, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		if gap != nil {
			got = append(got, fmt.Sprintf("gap %d-%d %s", gap.From, gap.To, gap.Reason))
		}
		for _, e := range entries {
			got = append(got, fmt.Sprint(e.Offset))
		}
		if line := strings.Join(append(got, fmt.Sprint("head ", head.Offset)), " "); line != tt.want {
			t.Errorf("%s: %s, want %s", name, line, tt.want)
		}
	}
}

// flaky is a store that something happens in.
type flaky struct {
	history.Store
	onHeads  func()
	onAppend func([]history.Publication) error
}

func (f *flaky) Heads(ctx context.Context, rooms []events.Room) (map[events.Room]history.Head, error) {
	heads, err := f.Store.Heads(ctx, rooms)
	if f.onHeads != nil {
		f.onHeads()
	}
	return heads, err
}

func (f *flaky) Append(ctx context.Context, all []history.Publication) ([]history.Number, error) {
	if f.onAppend != nil {
		if err := f.onAppend(all); err != nil {
			return nil, err
		}
	}
	return f.Store.Append(ctx, all)
}

// What is trimmed, or published, between two readings is told all the same.
func TestSinceWhileTrimming(t *testing.T) {
	between := &flaky{}
	f := newFixture(t, func(o *history.Options) { between.Store, o.Store, o.Count = o.Store, between, 2 })
	f.publish(t, "tenant:a", 5)
	between.onHeads = func() { f.publish(t, "tenant:a", 1); f.Trim(t.Context()) }
	entries, gap, head, err := f.Since(t.Context(), "tenant:a", "e1", 1, 10)
	if err != nil || gap == nil || gap.From != 2 || gap.To != 4 || len(entries) != 2 || head.Offset != 6 {
		t.Errorf("%v, gap %+v, head %v, %v", entries, gap, head, err)
	}
	between.onHeads = func() { f.store.Trim(t.Context(), 2, time.Now().Add(time.Hour), 10) }
	if entries, gap, head, _ = f.Since(t.Context(), "tenant:a", "e1", 4, 10); len(entries) != 0 || gap == nil || gap.From != 5 || gap.To != 6 || head.Offset != 6 {
		t.Errorf("%v, gap %+v, head %v", entries, gap, head)
	}
}

// One publication that cannot be stored, or is not what it says, takes no
// other with it.
func TestFailuresAreAlone(t *testing.T) {
	boom, wrong := errors.New("boom"), errors.New("wrong")
	bad := &flaky{onAppend: func(all []history.Publication) error {
		for _, p := range all {
			if strings.Contains(string(p.Data), "bad") {
				return boom
			}
		}
		return nil
	}}
	f := newFixture(t, func(o *history.Options) {
		bad.Store, o.Store = o.Store, bad
		o.Check = func(event string, _ []byte) error {
			if event != "e" {
				return wrong
			}
			return nil
		}
	})
	results := f.PublishAll(t.Context(), []history.Message{
		{Room: "tenant:a", Event: "e", Data: json.RawMessage(`{}`)},
		{Room: "tenant:a", Event: "e", Data: json.RawMessage(`{"bad":1}`)},
		{Room: "tenant:a", Event: "no", Data: json.RawMessage(`{}`)},
		{Room: "tenant:a", Event: "e", Data: json.RawMessage("{\"text\":\"\xff\"}")},
	})
	if results[0].Position.Offset != 1 || !errors.Is(results[1].Err, boom) || !errors.Is(results[2].Err, wrong) || results[3].Position.Offset != 2 {
		t.Errorf("%+v", results)
	}
	if got := strings.Join(f.got["tenant:a"], "; "); got != "0-1 e {\"offset\":1}; 1-2 e {\"text\":\"\uFFFD\",\"offset\":2}" {
		t.Error(got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Publish(ended, "tenant:a", events.Gap{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func BenchmarkPublish(b *testing.B) {
	f := newFixture(b, nil)
	payload := events.ListenerEvent{Data: json.RawMessage(`"` + strings.Repeat("x", 200) + `"`)}
	b.SetParallelism(100)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := f.Publish(b.Context(), "tenant:a", payload); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "publications/s")
}
