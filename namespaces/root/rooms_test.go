package root

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

// member is a session that keeps what it gets.
type member struct {
	chatter
	hall  *hall
	got   []string
	drain func() // called when a page is full
}

func (m *member) Leave(room events.Room) { m.hall.table.Leave(string(room), m) }
func (m *member) Follow(room events.Room, since uint64, snapshot func(uint64) (uint64, error)) error {
	return m.hall.table.Follow(string(room), m, since, snapshot)
}

func (m *member) Drain(context.Context) error {
	if m.drain != nil {
		m.drain()
	}
	return nil
}

func (m *member) Emit(p events.Payload) error {
	data, err := events.Encode(p)
	m.got = append(m.got, brief(p.EventName(), data))
	return err
}

func brief(event string, data json.RawMessage) string {
	var fields struct{ Offset, From, To int }
	json.Unmarshal(data, &fields)
	if event == "gap" {
		return fmt.Sprintf("gap %d-%d", fields.From, fields.To)
	}
	return fmt.Sprint(fields.Offset)
}

// hall is a room of a tenant that somebody publishes to.
type hall struct {
	roomRoutes
	t     *testing.T
	table *rooms.Table[*member]
}

func (h *hall) PublishRaw(room events.Room, pos cluster.Position, event string, data json.RawMessage) {
	h.table.Publish(string(room), rooms.Numbered(pos.Offset, func(m *member) { m.got = append(m.got, brief(event, data)) }))
}

func newHall(t *testing.T) *hall {
	db := sqlitetest.Open(t)
	h := &hall{t: t, table: rooms.New(rooms.Options[*member]{})}
	h.roomRoutes = roomRoutes{
		listeners: listener.NewService(db.Listeners(), nil),
		history: history.New(history.Options{
			Store: db.History(), Publisher: h, Epoch: "e1", Logger: slog.New(slog.DiscardHandler), Limits: history.Limits{Count: 100},
		}),
		followed: newFollowed(),
	}
	t.Cleanup(func() {
		h.history.Close()
		db.Close()
	})
	return h
}

func (h *hall) publish(n int) {
	h.t.Helper()
	messages := make([]history.Message, n)
	for i := range messages {
		messages[i] = history.Message{Room: "tenant:acme", Event: "e", Data: json.RawMessage(`{}`)}
	}
	for _, r := range h.history.PublishAll(h.t.Context(), messages) {
		if r.Err != nil {
			h.t.Fatal(r.Err)
		}
	}
}

func (h *hall) trim() {
	h.t.Helper()
	if err := h.history.Trim(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) member() *member {
	return &member{hall: h, chatter: chatter{id: &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}}}
}

// enter joins and returns the acknowledgement; since is an offset, or none.
func (h *hall) enter(m *member, since ...events.Since) string {
	h.t.Helper()
	in := roomJoin{Room: "tenant:acme"}
	if len(since) > 0 {
		in.Since = &since[0]
	}
	out, err := h.join(h.t.Context(), m, in)
	if err != nil || out.Epoch != "e1" {
		h.t.Fatal(out, err)
	}
	return fmt.Sprintf("recovered=%v %d", out.Recovered, out.Offset)
}

// offsets are numbers from one to another, as they are received.
func offsets(from, to int) string {
	var all []string
	for ; from <= to; from++ {
		all = append(all, fmt.Sprint(from))
	}
	return strings.Join(all, " ")
}

func at(offset uint64) events.Since { return events.Since{Epoch: "e1", Offset: offset} }

// Whatever a client says that it has, it gets what it has not, in order, before
// what is live and without a repetition; and is told what it will never get.
func TestJoinSince(t *testing.T) {
	for name, tt := range map[string]struct {
		published int
		play      func(h *hall, m *member) (ack string)
		ack, got  string
	}{
		"without since":          {10, func(h *hall, m *member) string { return h.enter(m) }, "recovered=false 10", "11"},
		"an empty room":          {0, func(h *hall, m *member) string { return h.enter(m) }, "recovered=false 0", "1"},
		"an empty room, since 0": {0, func(h *hall, m *member) string { return h.enter(m, at(0)) }, "recovered=true 0", "1"},
		"the head":               {10, func(h *hall, m *member) string { return h.enter(m, at(10)) }, "recovered=true 10", "11"},
		"some":                   {10, func(h *hall, m *member) string { return h.enter(m, at(7)) }, "recovered=true 10", "8 9 10 11"},
		"since 0":                {10, func(h *hall, m *member) string { return h.enter(m, at(0)) }, "recovered=true 10", offsets(1, 11)},
		"the future":             {10, func(h *hall, m *member) string { return h.enter(m, at(12)) }, "recovered=false 10", "gap 11-12 11"},
		"another epoch": {3, func(h *hall, m *member) string {
			return h.enter(m, events.Since{Epoch: "e0", Offset: 2})
		}, "recovered=false 3", "gap 0-0 1 2 3 4"},
		"trimmed": {110, func(h *hall, m *member) string {
			h.trim()
			return h.enter(m, at(3))
		}, "recovered=false 110", "gap 4-10 " + offsets(11, 111)},
		"trimmed, but not what is missing": {110, func(h *hall, m *member) string {
			h.trim()
			return h.enter(m, at(10))
		}, "recovered=true 110", offsets(11, 111)},
		"published while joining": {100, func(h *hall, m *member) string {
			m.drain = func() { h.publish(20) }
			return h.enter(m, at(0))
		}, "recovered=true 100", offsets(1, 121)},
		"more published while joining than is kept on hold": {100, func(h *hall, m *member) string {
			m.drain = func() { m.drain = nil; h.publish(90) }
			return h.enter(m, at(0))
		}, "recovered=true 190", offsets(1, 191)},
		"trimmed while joining": {150, func(h *hall, m *member) string {
			m.drain = func() { m.drain = nil; h.publish(80); h.trim() }
			return h.enter(m, at(0))
		}, "recovered=false 230", offsets(1, 128) + " gap 129-130 " + offsets(131, 231)},
		"joining twice": {10, func(h *hall, m *member) string {
			h.enter(m, at(7))
			h.publish(1)
			return h.enter(m, at(9))
		}, "recovered=true 7", "8 9 10 11 12"},
		"joining twice without since": {10, func(h *hall, m *member) string {
			h.enter(m)
			h.publish(1)
			return h.enter(m)
		}, "recovered=false 10", "11 12"},
		"joining, then asking for what was before": {10, func(h *hall, m *member) string {
			h.enter(m)
			h.publish(1)
			h.enter(m, at(8))
			return h.enter(m, at(7))
		}, "recovered=true 8", "11 9 10 8 12"},
		"leaving and coming back": {10, func(h *hall, m *member) string {
			h.enter(m)
			h.leave(h.t.Context(), m, "tenant:acme")
			h.publish(2)
			return h.enter(m, at(10))
		}, "recovered=true 12", "11 12 13"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHall(t)
			h.publish(tt.published)
			m := h.member()
			ack := tt.play(h, m)
			h.publish(1)
			if got := strings.Join(m.got, " "); ack != tt.ack || got != tt.got {
				t.Errorf("got %s, %s\nwant %s, %s", ack, got, tt.ack, tt.got)
			}
		})
	}
}

// Rooms that are of no row: whose they are stands in their names.
func TestJoinAnAddress(t *testing.T) {
	h := newHall(t)
	m := h.member() // ada of acme
	for room, joins := range map[string]bool{
		"user:acme:ada": true, "entity:acme:task:t-1": true, "agent:acme:a%3A1": true,
		"user:acme:bob": false, "user:other:ada": false, "entity:other:task:t-1": false, "agent:other:a-1": false, "user:acme": false, "agent:acme:a:1": false,
	} {
		_, err := h.join(t.Context(), m, roomJoin{Room: room})
		if e, _ := events.Public(err); joins != (err == nil) || !joins && e.Code != events.CodeNotFound {
			t.Errorf("%s: %v", room, err)
		}
		if _, err := h.leave(t.Context(), m, room); err != nil {
			t.Errorf("leaving %s: %v", room, err)
		}
	}
}

func TestRoomsOfASessionAreBounded(t *testing.T) {
	h := newHall(t)
	m := h.member()
	for n := range maxRooms {
		h.followed.set(m, events.EntityRoom("acme", "task", fmt.Sprint(n)), 0)
	}
	code := func(room string) events.Code {
		if _, err := h.join(t.Context(), m, roomJoin{Room: room}); err != nil {
			e, _ := events.Public(err)
			return e.Code
		}
		return ""
	}
	if got := code("tenant:acme"); got != events.CodeConflict {
		t.Errorf("one more: %q", got)
	}
	if got := code("entity:acme:task:0"); got != "" {
		t.Errorf("one of them again: %q", got)
	}
	h.leave(t.Context(), m, "entity:acme:task:0")
	if got := code("tenant:acme"); got != "" {
		t.Errorf("in place of another: %q", got)
	}
}
