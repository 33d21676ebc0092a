package cluster

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

// A server is a member of the cluster.
type server struct {
	doer
	name string
	url  string
	ours bool
}

// A client is a socket of one of the servers. Its name is the server's and its
// number.
type client struct {
	name   string
	id     string
	server *server
	rooms  []string
}

// A world is a cluster with two sockets at each server: number 1 is in the
// rooms odd and both, number 2 in even and both.
type world struct {
	t       *testing.T
	adapter string
	servers []*server
	emitter doer // nil if the adapter has none
	clients doer
	sockets []*client
	fences  int
}

func newWorld(t *testing.T, adapter string) *world {
	t.Helper()
	redis := redistest.Start(t, redistest.Options{}).URL()
	w := &world{t: t, adapter: adapter, clients: startProcess(t, "clients.mjs")}
	for _, name := range []string{"n1", "n2"} {
		p := startProcess(t, "cluster.mjs", "--name", name, "--adapter", adapter, "--redis", redis)
		w.servers = append(w.servers, &server{doer: p, name: name, url: p.url})
	}
	for _, name := range []string{"o1", "o2"} {
		w.servers = append(w.servers, startOurs(t, name, adapter, redis))
	}
	if adapter != "sharded" { // the emitter does not know sharded channels
		w.emitter = startProcess(t, "emitter.mjs", "--adapter", adapter, "--redis", redis)
	}
	for _, s := range w.servers {
		for number, room := range map[string]string{"1": "odd", "2": "even"} {
			w.sockets = append(w.sockets, w.connect(s, s.name+"/"+number, "/", room, "both"))
		}
	}
	w.settle()
	return w
}

// connect connects a client to a server and puts it into rooms.
func (w *world) connect(s *server, name, ns string, rooms ...string) *client {
	w.t.Helper()
	c := &client{name: name, server: s, rooms: rooms}
	w.decode(w.do(w.clients, command{Op: "connect", Name: name, URL: s.url, NS: ns}), &c.id)
	w.do(w.clients, command{Op: "call", Name: name, Event: "join", Args: []any{rooms}})
	return c
}

// patience bounds every single wait.
const patience = 15 * time.Second

func (w *world) do(d doer, c command) json.RawMessage {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	result, err := d.do(ctx, c)
	if err != nil {
		w.t.Fatalf("%+v: %v", c, err)
	}
	return result
}

func (w *world) decode(raw json.RawMessage, into any) {
	w.t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		w.t.Fatalf("%s: %v", raw, err)
	}
}

// senders are all who can publish.
func (w *world) senders() map[string]doer {
	all := map[string]doer{}
	for _, s := range w.servers {
		all[s.name] = s
	}
	if w.emitter != nil {
		all["emitter"] = w.emitter
	}
	return all
}

func (w *world) server(name string) *server {
	return w.servers[slices.IndexFunc(w.servers, func(s *server) bool { return s.name == name })]
}

// settle waits until the servers know each other, and until what any of them
// publishes to all or to a room reaches everybody: subscriptions are made in
// the background.
func (w *world) settle() {
	w.t.Helper()
	for _, s := range w.servers {
		await(w.t, s.name+" to see all servers", func() bool {
			return string(w.do(s, command{Op: "servers"})) == string(mustJSON(len(w.servers)))
		})
	}
	for name, sender := range w.senders() {
		for _, room := range []string{"", "odd", "even", "both"} {
			var rooms []string
			if room != "" {
				rooms = []string{room}
			}
			await(w.t, name+" to reach "+room, func() bool { return w.reaches(sender, rooms) })
		}
	}
	w.fence(w.servers[0])
}

// reaches reports whether an event for rooms arrives everywhere soon.
func (w *world) reaches(sender doer, rooms []string) bool {
	w.fences++
	w.do(sender, command{Op: "emit", Event: "fence", Rooms: rooms, Args: []any{w.fences}})
	ctx, cancel := context.WithTimeout(w.t.Context(), 500*time.Millisecond)
	defer cancel()
	for _, c := range w.sockets {
		if len(rooms) > 0 && !slices.Contains(c.rooms, rooms[0]) {
			continue
		}
		if _, err := w.clients.do(ctx, command{Op: "until", Name: c.name, Fence: w.fences}); err != nil {
			return false
		}
	}
	return true
}

// An event is what a client received.
type event struct {
	Event string          `json:"event"`
	Args  json.RawMessage `json:"args"`
	Asked bool            `json:"asked"`
}

// fence emits an event to all sockets and returns, by client, what each got
// before: what a sender says arrives in order.
func (w *world) fence(sender doer) map[string][]event {
	w.t.Helper()
	w.fences++
	w.do(sender, command{Op: "emit", Event: "fence", Args: []any{w.fences}})
	got := map[string][]event{}
	for _, c := range w.sockets {
		var events []event
		w.decode(w.do(w.clients, command{Op: "until", Name: c.name, Fence: w.fences}), &events)
		events = slices.DeleteFunc(events, func(e event) bool { return e.Event == "fence" })
		got[c.name] = events
	}
	return got
}

// expect checks that some clients, and no others, got one event.
func (w *world) expect(sender doer, to func(*client) bool, want event) {
	w.t.Helper()
	got := w.fence(sender)
	for _, c := range w.sockets {
		var expected []event
		if to(c) {
			expected = []event{want}
		}
		if g, e := mustJSON(got[c.name]), mustJSON(expected); string(g) != string(e) && len(got[c.name])+len(expected) > 0 {
			w.t.Errorf("%s got %s, want %s", c.name, g, e)
		}
	}
}

// names returns those of the clients that a function selects, in order.
func (w *world) names(of func(*client) bool) []string {
	var names []string
	for _, c := range w.sockets {
		if of(c) {
			names = append(names, c.name)
		}
	}
	slices.Sort(names)
	return names
}

func anybody(*client) bool { return true }
func nobody(*client) bool  { return false }
func odd(c *client) bool   { return strings.HasSuffix(c.name, "/1") }
func even(c *client) bool  { return strings.HasSuffix(c.name, "/2") }

// await polls until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	eventually.True(t, so, func() string { return "still waiting for " + what })
}

func mustJSON(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
