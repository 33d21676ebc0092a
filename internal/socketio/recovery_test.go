package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/namespaces"
)

// recoverable is a namespace whose clients join what they name, and may stay
// everywhere but in "secret".
func recoverable() namespaces.Namespace {
	return namespaces.Namespace{
		MayStay: func(_ context.Context, _ *auth.Identity, room events.Room) (bool, error) {
			return room != "secret", nil
		},
		Save: func(s namespaces.Session) json.RawMessage { return json.RawMessage(`"state of ` + s.ID() + `"`) },
		Restore: func(_ context.Context, s namespaces.Session, state json.RawMessage) {
			s.Emit(named{"restored", string(state)})
		},
	}
}

// named is a payload of any event.
type named struct {
	event string
	value any
}

func (n named) EventName() string            { return n.event }
func (n named) MarshalJSON() ([]byte, error) { return json.Marshal(n.value) }

// joining handles "join" and "say", which emits to the session alone.
func joining(s namespaces.Session, event string, args []json.RawMessage, _ bool) string {
	var name string
	json.Unmarshal(args[0], &name)
	switch event {
	case "join":
		s.Join(events.Room(name))
	case "say":
		s.Emit(named{"said", name})
	}
	return `"` + name + `"`
}

func newRecovering(t *testing.T, window time.Duration) *fixture {
	return newFixture(t, Options{Recovery: RecoveryOptions{Window: window}}, recoverable(), joining)
}

// returning is a client that knows what it needs to come back.
type traveller struct {
	*client
	sid, pid, offset string
}

// travel dials and enters "/", again if was is set. It reports whether the
// session goes on.
func (f *fixture) travel(was *traveller, token string) (*traveller, bool) {
	f.t.Helper()
	c := &traveller{client: f.dial("EIO=4")}
	hello := map[string]string{"token": token}
	if was != nil {
		hello["pid"] = was.pid
		if was.offset != "" {
			hello["offset"] = was.offset
		}
	}
	b, _ := json.Marshal(hello)
	c.send("40" + string(b))
	var welcome struct{ SID, PID string }
	got := c.read()
	if json.Unmarshal([]byte(strings.TrimPrefix(got, "40")), &welcome) != nil || welcome.PID == "" || welcome.SID == "" {
		f.t.Fatalf("answered %s", got)
	}
	c.sid, c.pid = welcome.SID, welcome.PID
	return c, was != nil && c.pid == was.pid && c.sid == was.sid
}

// event reads an event and keeps its stamp.
func (c *traveller) event() (name, value string) {
	c.t.Helper()
	got := c.read()
	var args []any
	if !strings.HasPrefix(got, "42[") || json.Unmarshal([]byte(got[2:]), &args) != nil || len(args) != 3 {
		c.t.Fatalf("got %s, want an event with a stamp", got)
	}
	c.offset = args[2].(string)
	return args[0].(string), fmt.Sprint(args[1])
}

func (c *traveller) wants(name, value string) {
	c.t.Helper()
	if n, v := c.event(); n != name || v != value {
		c.t.Errorf("got %s %s, want %s %s", n, v, name, value)
	}
}

func (f *fixture) say(room, value string) {
	f.srv.Publish("/", events.Room(room), cluster.Position{}, named{"news", value})
}

func (c *traveller) join(room string) {
	c.t.Helper()
	c.send(`421["join","` + room + `"]`)
	c.expect(`431["` + room + `"]`)
}

// A client that loses its connection goes on where it was: the same session, in
// its rooms, with all that it missed, in order and once.
func TestRecovery(t *testing.T) {
	f := newRecovering(t, time.Minute)
	c, _ := f.travel(nil, "ann")
	c.join("x")
	f.say("x", "1")
	c.wants("news", "1")
	c.send(`42["say","alone"]`)
	c.wants("said", "alone")
	f.say("x", "2") // it may be on its way when the connection is cut
	c.Close()
	f.say("x", "3")
	f.say("y", "not for it")
	back, recovered := f.travel(c, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("news", "2")
	back.wants("news", "3")
	back.wants("restored", `"state of `+c.sid+`"`)
	f.say("x", "4")
	back.wants("news", "4")
	// The same stamps are good for the next time.
	back.Close()
	again, recovered := f.travel(back, "ann")
	if !recovered {
		t.Fatal("not recovered again")
	}
	again.wants("restored", `"state of `+c.sid+`"`)
	if strings.Contains(f.log.String(), c.pid) {
		t.Error("the secret is in the log")
	}
}

// What a client has not got although it was sent comes again, also what was
// sent to it alone.
func TestRecoveryOfWhatWasOnItsWay(t *testing.T) {
	f := newRecovering(t, time.Minute)
	c, _ := f.travel(nil, "ann")
	c.join("x")
	f.say("x", "1")
	c.wants("news", "1")
	had := *c
	c.send(`42["say","a"]`)
	c.wants("said", "a")
	f.say("x", "2")
	c.wants("news", "2")
	c.send(`42["say","b"]`)
	c.wants("said", "b")
	c.Close()
	back, recovered := f.travel(&had, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("said", "a")
	back.wants("news", "2")
	back.wants("said", "b")
	back.wants("restored", `"state of `+c.sid+`"`)
}

// Who comes back before the server knows that the old connection is gone ends
// that one.
func TestRecoveryFromAConnectionThatIsThere(t *testing.T) {
	f := newRecovering(t, time.Minute)
	c, _ := f.travel(nil, "ann")
	c.join("x")
	f.say("x", "1")
	back, recovered := f.travel(c, "ann") // without having read anything
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("news", "1")
	back.wants("restored", `"state of `+c.sid+`"`)
	f.say("x", "2")
	back.wants("news", "2")
}

// A session is its owner's, goes to one of several that ask for it, and to
// nobody when it cannot be whole.
func TestNoRecovery(t *testing.T) {
	f := newRecovering(t, time.Minute)
	leave := func(prepare func(c *traveller)) *traveller {
		c, _ := f.travel(nil, "ann")
		prepare(c)
		c.Close()
		return c
	}
	nothing := func(*traveller) {}
	for _, tt := range []struct {
		why     string
		token   string
		prepare func(c *traveller)
		come    func(c *traveller)
	}{
		{"another user", "bob", nothing, nothing},
		{"unknown secret", "ann", nothing, func(c *traveller) { c.pid += "x" }},
		{"offset that is none", "ann", nothing, func(c *traveller) { c.offset = "abc" }},
		{"offset from the future", "ann", nothing, func(c *traveller) { c.offset = "9999999999999-1" }},
		{"offset from before", "ann", nothing, func(c *traveller) { c.offset = "1-1" }},
		{"a room that it may not be in any more", "ann", func(c *traveller) { c.join("secret") }, nothing},
		{"left by itself", "ann", func(c *traveller) { c.send("41"); c.send(`40{"token":"ann"}`); c.read() }, nothing},
	} {
		c := leave(tt.prepare)
		sid, pid := c.sid, c.pid
		tt.come(c)
		back, recovered := f.travel(c, tt.token)
		if recovered || back.sid == sid || back.pid == pid {
			t.Errorf("%s: recovered", tt.why)
		}
	}
	// A stranger's try does not cost its owner the session.
	c := leave(nothing)
	if _, recovered := f.travel(c, "bob"); recovered {
		t.Error("recovered by another")
	}
	if _, recovered := f.travel(c, "ann"); !recovered {
		t.Error("lost to another")
	}
	c = leave(nothing)
	var mu sync.Mutex
	var wins int
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, recovered := f.travel(c, "eve"); recovered {
				t.Error("recovered by another")
			}
		})
	}
	all.Wait()
	_, recovered := f.travel(c, "ann")
	mu.Lock()
	if recovered {
		wins++
	}
	mu.Unlock()
	if wins != 1 {
		t.Errorf("recovered %d times", wins)
	}
}

// A session is forgotten after the window, and when there are too many.
func TestRecoveryEnds(t *testing.T) {
	f := newFixture(t, Options{Recovery: RecoveryOptions{Window: time.Minute, MaxBytes: 2000}}, recoverable(), joining)
	var all []*traveller
	for range 5 {
		c, _ := f.travel(nil, "ann")
		all = append(all, c)
		c.Close()
		eventuallySaved(t, f, c.pid)
	}
	if _, recovered := f.travel(all[0], "ann"); recovered {
		t.Error("the oldest was kept")
	}
	if _, recovered := f.travel(all[4], "ann"); !recovered {
		t.Error("the latest was not kept")
	}
	f.srv.recovery.sweep(time.Now().Add(time.Hour))
	r := f.srv.recovery
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.saved) != 0 || len(r.order) != 0 || r.bytes != 0 {
		t.Errorf("left %d, %d, %d bytes", len(r.saved), len(r.order), r.bytes)
	}
}

func eventuallySaved(t *testing.T, f *fixture, pid string) {
	t.Helper()
	f.until(func() bool {
		f.srv.recovery.mu.Lock()
		defer f.srv.recovery.mu.Unlock()
		return f.srv.recovery.saved[pid] != nil
	})
}

// Clients of version 2, and all when it is off, get neither secrets nor stamps.
func TestWithoutRecovery(t *testing.T) {
	f := newRecovering(t, 0)
	c := f.enter()
	c.send(`42["say","hello"]`)
	c.expect(`42["said","hello"]`)
	f = newRecovering(t, time.Minute)
	old := f.dial("EIO=3")
	old.read() // entered
	old.send(`42["say","hello"]`)
	old.expect(`42["said","hello"]`)
}

// station is a server of a cluster.
func station(t *testing.T, bus *clustertest.Bus, opts Options, ns namespaces.Namespace) *fixture {
	t.Helper()
	opts.Bus = bus
	if opts.Recovery.Window == 0 {
		opts.Recovery.Window = time.Minute
	}
	f := newFixture(t, opts, ns, joining)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { bus.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return f
}

// With an ordered bus a client may come back to another server, also before
// the first knows that it is gone.
func TestRecoveryElsewhere(t *testing.T) {
	net := clustertest.New(true)
	a := station(t, net.Bus(), Options{}, recoverable())
	b := station(t, net.Bus(), Options{}, recoverable())
	c, _ := a.travel(nil, "ann")
	c.join("x")
	a.say("x", "1")
	c.wants("news", "1")
	c.send(`42["say","alone"]`)
	s := a.session(c.sid)
	a.until(func() bool { // else it may be lost with the connection
		s.trail.mu.Lock()
		defer s.trail.mu.Unlock()
		return len(s.trail.own) > 0
	})
	b.say("x", "2")
	back, recovered := b.travel(c, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	got := map[string]bool{}
	for range 2 {
		_, value := back.event()
		got[value] = true
	}
	if !got["alone"] || !got["2"] {
		t.Errorf("got %v", got)
	}
	back.wants("restored", `"state of `+c.sid+`"`)
	a.say("x", "3")
	back.wants("news", "3")
	back.Close()
	b.say("x", "4")
	home, recovered := a.travel(back, "ann")
	if !recovered {
		t.Fatal("not recovered at home")
	}
	home.wants("news", "4")
	// A server that was not there yet fetches what it lacks.
	home.wants("restored", `"state of `+c.sid+`"`)
	home.Close()
	a.say("x", "5")
	d := station(t, net.Bus(), Options{}, recoverable())
	late, recovered := d.travel(home, "ann")
	if !recovered {
		t.Fatal("not recovered by a new server")
	}
	late.wants("news", "5")
	late.wants("restored", `"state of `+c.sid+`"`)
	b.say("x", "6")
	late.wants("news", "6")
}

// Whatever happens, a client that says what it got last gets every publication
// of each room and everything that was sent to it alone once and in order.
func TestRecoveryUnderLoad(t *testing.T) {
	for _, name := range []string{"alone", "ordered"} {
		t.Run(name, func(t *testing.T) { recoverUnderLoad(t, name == "ordered") })
	}
}

func recoverUnderLoad(t *testing.T, ordered bool) {
	const clients, publications, rooms = 6, 400, 3
	ns := recoverable()
	ns.Restore = func(context.Context, namespaces.Session, json.RawMessage) {}
	var servers []*fixture
	if ordered {
		net := clustertest.New(true)
		servers = []*fixture{station(t, net.Bus(), Options{}, ns), station(t, net.Bus(), Options{}, ns)}
	} else {
		servers = []*fixture{newFixture(t, Options{Recovery: RecoveryOptions{Window: time.Minute}}, ns, joining)}
	}
	var joined, all sync.WaitGroup
	joined.Add(clients)
	start := make(chan struct{})
	for i := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			c, _ := servers[i%len(servers)].travel(nil, "ann")
			for r := range rooms {
				c.join("room" + strconv.Itoa(r))
			}
			joined.Done()
			<-start
			next := map[string]int{}
			said := 0
			for total := 0; total < rooms*publications; {
				name, value := c.event()
				room, number, _ := strings.Cut(value, " ")
				n, _ := strconv.Atoi(number)
				if room == "own" && n > next[room] {
					next[room] = n // what it said got lost with the connection
				}
				if n != next[room] {
					t.Errorf("client %d: %s %q, want number %d", i, name, value, next[room])
					return
				}
				next[room]++
				if name == "news" {
					total++
				}
				switch random.IntN(20) {
				case 0: // cut, with events on their way
					was := c
					c.Close()
					var recovered bool
					if c, recovered = servers[random.IntN(len(servers))].travel(was, "ann"); !recovered {
						t.Errorf("client %d: not recovered at %s\n%s\n%s", i, was.offset, servers[0].log, servers[len(servers)-1].log)
						return
					}
				case 1:
					c.send(`42["say","own ` + strconv.Itoa(said) + `"]`)
					said++
				}
			}
		})
	}
	joined.Wait()
	close(start)
	for r := range rooms {
		all.Go(func() {
			for n := range publications {
				servers[(n+r)%len(servers)].say("room"+strconv.Itoa(r), fmt.Sprintf("room%d %d", r, n))
			}
		})
	}
	all.Wait()
}

// A client that leaves does not come back, even if its connection ends in the
// same moment.
func TestNoRecoveryAfterLeaving(t *testing.T) {
	f := newRecovering(t, time.Minute)
	for range 50 {
		c, _ := f.travel(nil, "ann")
		c.send("41")
		c.Close()
		f.until(func() bool { return f.srv.Stats().Connections == 0 })
		again, recovered := f.travel(c, "ann")
		if recovered {
			t.Fatal("recovered")
		}
		again.Close()
		f.until(func() bool { return f.srv.Stats().Connections == 0 })
	}
}

// comingBack is a client that goes on and is being opened. It has missed
// "2" and "3" in the room "x", of a server that keeps 64 KiB.
func comingBack(t *testing.T) (f *fixture, back *traveller, goOn chan struct{}) {
	n, opened := recoverable(), make(chan struct{}, 3)
	goOn = make(chan struct{}, 3)
	n.Opened = func(context.Context, namespaces.Session) {
		opened <- struct{}{}
		<-goOn
	}
	f = newFixture(t, Options{Recovery: RecoveryOptions{Window: time.Minute, MaxBytes: 64 << 10}}, n, joining)
	was, _ := f.travel(nil, "ann")
	<-opened
	goOn <- struct{}{}
	was.join("x")
	f.say("x", "1")
	was.wants("news", "1")
	f.leaves(was)
	f.say("x", "2")
	f.say("x", "3")
	back, recovered := f.travel(was, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.offset = was.offset
	<-opened
	return f, back, goOn
}

// What a client that goes on has missed is there for it, though it becomes too
// old meanwhile.
func TestComingBackAtTheEndOfTheWindow(t *testing.T) {
	f, back, goOn := comingBack(t)
	f.srv.spaces["/"].recent.trim(time.Now().Add(time.Hour))
	goOn <- struct{}{}
	back.wants("news", "2")
	back.wants("news", "3")
	back.wants("restored", `"state of `+back.sid+`"`)
	f.say("x", "4")
	back.wants("news", "4")
}

// When more is broadcast meanwhile than is kept, nobody can tell what else a
// client lacks: it begins anew, rather than go on without.
func TestComingBackIntoAFlood(t *testing.T) {
	f, back, goOn := comingBack(t)
	for range 20 {
		f.say("y", strings.Repeat("y", 8<<10))
	}
	goOn <- struct{}{}
	back.expectClose(websocket.StatusPolicyViolation)
	if _, recovered := f.travel(back, "ann"); recovered {
		t.Error("it goes on without what it lacks")
	}
	goOn <- struct{}{}
}
