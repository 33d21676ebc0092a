package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/journal"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// recorder keeps what is published, as clients get it.
type recorder struct {
	mu  sync.Mutex
	got map[events.Room][]string
}

func line(event string, pos cluster.Position, data json.RawMessage) string {
	return fmt.Sprintf("%s %d-%d %s", event, pos.Prev, pos.Offset, data)
}

func (r *recorder) Publish(room events.Room, pos cluster.Position, p events.Payload) error {
	if pos.Offset == 0 {
		return nil // it is not kept
	}
	data, err := events.Encode(events.Numbered{Payload: p, Offset: pos.Offset})
	r.PublishRaw(room, pos, p.EventName(), data)
	return err
}

func (r *recorder) PublishRaw(room events.Room, pos cluster.Position, event string, data json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got[room] = append(r.got[room], line(event, pos, data))
}

type echo struct{}

func (echo) Reply(_ context.Context, t chat.Turn, _ chat.Out) (chat.Reply, error) {
	return chat.Reply{Text: "You said " + t.Message.Text}, nil
}

// place is the offset of a line.
func place(line string) (offset int) {
	var event string
	var prev int
	fmt.Sscanf(line, "%s %d-%d", &event, &prev, &offset)
	return offset
}

// pages reads all that a room published, of which no page is large.
func pages(t *testing.T, r repair, room events.Room) (all []Missed, gap *events.Gap) {
	t.Helper()
	var after uint64
	for {
		page, missing, err := r.Missed(t.Context(), room, after, math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) > missedPage || missing != nil && after > 0 {
			t.Errorf("%s: a page of %d, and the gap %+v", room, len(page), missing)
		}
		if len(page) == 0 {
			return all, gap
		}
		if missing != nil {
			gap = missing
		}
		all, after = append(all, page...), page[len(page)-1].Position.Offset
	}
}

const delayed = `{"nodes":[{"id":"s","type":"start"},{"id":"d","type":"delay","data":{"duration":1,"unit":"milliseconds"}},
	{"id":"t","type":"transform","data":{"expression":"{n: 1}","outputVariable":"m"}},{"id":"e","type":"end"}],
	"edges":[{"id":"1","source":"s","target":"d"},{"id":"2","source":"d","target":"t"},{"id":"3","source":"t","target":"e"}]}`

// What was missed is read as it was published, whichever service keeps it.
func TestMissedIsWhatWasPublished(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "r.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	out, log := &recorder{got: map[events.Room][]string{}}, slog.New(slog.DiscardHandler)
	types := nodes.All(nodes.Options{})
	feed := workflow.NewFeed(out, log)
	engine := journal.New(journal.Options{Store: db.Workflows(), Feed: feed, Types: types})
	r := repair{
		workflows: workflow.NewService(workflow.ServiceOptions{Store: db.Workflows(), Engine: engine, Feed: feed, Types: types}),
		chat:      chat.NewService(chat.Options{Store: db.Chats(), Publisher: out, Logger: log, Assistant: echo{}, Waiting: 40}),
		history:   history.New(history.Options{Store: db.History(), Publisher: out, Logger: log, Epoch: "e", Limits: history.Limits{Count: 300}}),
	}
	ada := &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}
	var def graph.Definition
	if err := json.Unmarshal([]byte(delayed), &def); err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool, 1)
	feed.Observe(func(u workflow.Update) {
		if u.Status != "" {
			ended <- true
		}
	})
	run, err := r.workflows.Test(t.Context(), ada, "acme", def, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	room, err := r.chat.Open(t.Context(), ada, "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if _, err := r.chat.Say(t.Context(), ada, room.ID, chat.Words{Text: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.chat.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if _, err := r.history.Publish(t.Context(), "tenant:acme", events.ListenerEvent{Data: events.JSON("1")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.history.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	rooms := []events.Room{events.RunRoom(run.ID), events.ChatRoom(room.ID), "tenant:acme", "tenant:none", "16fd2706-8baf-433b-82eb-8c7fada847da"}
	heads, err := r.Heads(t.Context(), rooms)
	if err != nil || len(heads) != 3 {
		t.Fatal(heads, err)
	}
	for i, room := range rooms {
		missed, gap := pages(t, r, room)
		want := out.got[room]
		if i == 1 { // an answer may be published before what was said meanwhile
			slices.SortFunc(want, func(a, b string) int { return place(a) - place(b) })
		}
		if i == 2 {
			want = want[300:]
			if gap == nil || *gap != (events.Gap{Room: room, From: 1, To: 300, Reason: events.GapTrimmed}) {
				t.Errorf("gap %+v", gap)
			}
		} else if gap != nil {
			t.Errorf("%s: gap %+v", room, gap)
		}
		var got []string
		for _, m := range missed {
			got = append(got, line(m.Event, cluster.Position{Offset: m.Position.Offset, Prev: m.Position.Prev}, m.Payload))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("missed\n%s\npublished\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if n := len(missed); n > 0 {
			last := missed[n-1].Position
			if heads[room] != last.Offset || last.Epoch != "e" {
				t.Errorf("%s: head %d, last %+v", room, heads[room], last)
			}
			// The middle alone, and nothing beyond the head.
			some, _, err := r.Missed(t.Context(), room, missed[0].Position.Offset, missed[1].Position.Offset)
			if err != nil || len(some) != 1 || some[0].Position != missed[1].Position {
				t.Errorf("%s: %+v, %v", room, some, err)
			}
			if none, gap, err := r.Missed(t.Context(), room, last.Offset, last.Offset); len(none) != 0 || gap != nil || err != nil {
				t.Errorf("%s: %+v %+v %v", room, none, gap, err)
			}
		}
	}
	if err := engine.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
