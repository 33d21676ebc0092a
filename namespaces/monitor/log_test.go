package monitor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/namespaces"
)

// watcher is a session that keeps the messages of the lines it gets.
type watcher struct {
	id     *auth.Identity
	table  *rooms.Table[*watcher]
	got    []string
	drains int
	onEmit func()
}

var _ namespaces.Session = (*watcher)(nil)

func (*watcher) ID() string                 { return "s" }
func (w *watcher) Identity() *auth.Identity { return w.id }
func (w *watcher) Join(room events.Room)    { w.table.Join(string(room), w) }
func (w *watcher) Leave(room events.Room)   { w.table.Leave(string(room), w) }
func (w *watcher) Follow(room events.Room, since uint64, snapshot func(uint64) (uint64, error)) error {
	return w.table.Follow(string(room), w, since, snapshot)
}

func (w *watcher) Drain(context.Context) error {
	w.drains++
	return nil
}

func (w *watcher) Emit(p events.Payload) error {
	var content struct{ Message string }
	json.Unmarshal(p.(events.Log).Content, &content)
	w.got = append(w.got, content.Message)
	if w.onEmit != nil {
		w.onEmit()
	}
	return nil
}

var admin = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}

// Who begins to watch gets each line it may see once, in order, however many
// are written meanwhile.
func TestFollowLog(t *testing.T) {
	for name, id := range map[string]*auth.Identity{
		"operator": {User: "op", Permissions: []auth.Permission{auth.Operate}},
		"admin":    admin,
	} {
		lines := logstream.New(10_000)
		log := slog.New(lines.Handler(slog.NewTextHandler(io.Discard, nil)))
		w := &watcher{id: id, table: rooms.New(rooms.Options[*watcher]{})}
		published := uint64(0)
		n := 0
		write := func(times int) {
			for range times {
				n++
				l := log
				if n%2 == 0 {
					l = log.With("tenant", "acme")
				}
				l.Info(fmt.Sprint(n))
				all, _ := lines.Since(published)
				for _, line := range all {
					published = line.Seq
					PublishLine(func(room events.Room, offset uint64, p events.Payload) {
						w.table.Publish(string(room), rooms.Numbered(offset, func(w *watcher) { w.Emit(p) }))
					}, line)
				}
			}
			log.Info("for others", "tenant", "other")
		}
		write(300)
		w.onEmit = func() {
			w.onEmit = nil
			write(200) // more than is kept on hold
		}
		open(t.Context(), w, lines)
		write(1)
		got := slices.DeleteFunc(w.got, func(m string) bool { return m == "for others" })
		if id == admin && len(got) != len(w.got) {
			t.Errorf("%s: got lines of another tenant", name)
		}
		missed := strings.Join(w.got[:300], " ") != strings.Join(numbers(300), " ") && id == admin
		slices.Sort(got)
		if len(got) != n || len(slices.Compact(got)) != n || missed {
			t.Errorf("%s: got %d of %d lines", name, len(got), n)
		}
		if w.drains < n/64 {
			t.Errorf("%s: %d lines in %d pages", name, n, w.drains+1)
		}
	}
}

func numbers(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i+1))
	}
	return all
}

func TestAdmit(t *testing.T) {
	if err := admit(admin); err != nil {
		t.Error(err)
	}
	if err := admit(&auth.Identity{User: "bob", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}); err == nil {
		t.Error("a member may watch")
	}
}

// An administrator who becomes an operator as well goes on hearing what there
// was.
func TestMayStay(t *testing.T) {
	both := *admin
	both.Permissions = []auth.Permission{auth.Operate}
	for _, id := range []*auth.Identity{admin, &both} {
		for _, room := range append(logRooms(admin), StatsRoom) {
			if ok, err := mayStay(t.Context(), id, room); !ok || err != nil {
				t.Errorf("%+v has to leave %s", id, room)
			}
		}
	}
	for _, room := range []events.Room{events.LogRoomAll, events.LogRoomTenant("other"), "other"} {
		if ok, _ := mayStay(t.Context(), admin, room); ok {
			t.Errorf("may stay in %s", room)
		}
	}
}

// Who operates the server no longer, but administers a tenant, sees on what
// belongs to it.
func TestRightsThatShrink(t *testing.T) {
	stream := logstream.New(10)
	log := slog.New(stream.Handler(slog.NewTextHandler(io.Discard, nil)))
	w := &watcher{id: &auth.Identity{User: "ada", Permissions: []auth.Permission{auth.Operate}}, table: rooms.New(rooms.Options[*watcher]{})}
	ns := New(stream, nil)
	ns.Opened(t.Context(), w)
	w.id = admin
	for _, room := range w.table.Rooms(w) {
		if ok, err := ns.MayStay(t.Context(), w.id, events.Room(room)); err != nil {
			t.Fatal(err)
		} else if !ok {
			w.Leave(events.Room(room))
			ns.Left(w, events.Room(room))
		}
	}
	log.Info("of acme", "tenant", "acme")
	log.Info("of others", "tenant", "other")
	log.Info("of nobody")
	lines, _ := stream.Since(0)
	for _, l := range lines {
		PublishLine(func(room events.Room, offset uint64, p events.Payload) {
			w.table.Publish(string(room), rooms.Numbered(offset, func(m *watcher) { m.Emit(p) }))
		}, l)
	}
	if want := []string{"of acme", "of nobody"}; !slices.Equal(w.got, want) {
		t.Errorf("got %q, want %q", w.got, want)
	}
}
