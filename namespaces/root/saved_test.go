package root

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

// still are the runs of a bridge in which nothing happens.
type still struct{ bridge.Runs }

func (still) Find(_ context.Context, _ *auth.Identity, id string, _ bool) (bridge.Run, error) {
	return bridge.Run{ID: id, Tenant: "acme"}, nil
}

func (still) History(context.Context, bridge.Run, uint64) (bridge.History, error) {
	return bridge.History{Through: 3, Status: events.RunRunning}, nil
}

func (m *member) Join(room events.Room) { m.hall.table.Join(string(room), m) }

// A session that goes on in another process leaves its rooms there as it would
// have here.
func TestSessionGoesOn(t *testing.T) {
	db := sqlitetest.Open(t)
	ada := &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	var svc *chat.Service
	process := func() (keeper, *member) {
		m := &member{hall: &hall{t: t, table: rooms.New(rooms.Options[*member]{})}}
		m.id = ada
		svc = chat.NewService(chat.Options{Store: db.Chats(), Publisher: m, Assistant: echo{}, Logger: slog.New(slog.DiscardHandler)})
		f := newFollowed()
		k := keeper{f, newRunRooms(f), newAIChat(svc, nil, "e", f), bridge.NewService(bridge.Options{Runs: still{}, Widgets: db.Widgets(), AutoRegister: true})}
		t.Cleanup(k.widgets.Close)
		return k, m
	}
	k, m := process()
	if _, err := k.aiChat.join(t.Context(), m, chatJoin{}); err != nil {
		t.Fatal(err)
	}
	nothing := func(after, _ uint64) (uint64, error) { return after, nil }
	if _, err := k.rooms.join(m, "joined", 2, nothing); err != nil {
		t.Fatal(err)
	}
	connect := bridge.Connect{WidgetID: "w", InstanceID: "shown", Mode: events.WidgetSubscribe}
	if _, err := k.widgets.Connect(t.Context(), widgetSession{m, k.rooms}, connect); err != nil {
		t.Fatal(err)
	}
	state := k.save(m)
	in := m.hall.table.Rooms(m)
	if len(in) != 4 {
		t.Fatalf("it is in %v", in)
	}

	k, m = process()
	for _, room := range in { // as the transport does
		m.Join(events.Room(room))
	}
	k.restore(t.Context(), m, state)
	if again := k.save(m); string(again) != string(state) {
		t.Errorf("saved again it is\n%s\nwas\n%s", again, state)
	}
	if len(m.got) != 0 {
		t.Errorf("it was told %v", m.got)
	}
	if _, err := k.rooms.join(m, "joined", 2, nothing); err != nil {
		t.Fatal(err)
	}
	k.widgets.Disconnect(widgetSession{m, k.rooms}, "w")
	if _, err := k.aiChat.disconnect(t.Context(), m, chatDisconnect{}); err != nil {
		t.Fatal(err)
	}
	if in := m.hall.table.Rooms(m); fmt.Sprint(in) != "[joined]" {
		t.Errorf("it still is in %v", in)
	}
	k.restore(t.Context(), m, nil) // of a session that had nothing
}
