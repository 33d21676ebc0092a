package socketio

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/cluster/clustertest"
	"github.com/roomcast/roomcast/namespaces"
)

// cutting is a namespace whose handlers can be kept waiting.
type cutting struct {
	begun, goOn chan struct{}
}

func newCutting() cutting { return cutting{make(chan struct{}, 8), make(chan struct{}, 8)} }

func (c cutting) wait() {
	c.begun <- struct{}{}
	<-c.goOn
}

func (c cutting) handle(s namespaces.Session, event string, args []json.RawMessage, ack bool) string {
	var name string
	json.Unmarshal(args[0], &name)
	switch event {
	case "wait":
		c.wait()
		return `"waited"`
	case "leave":
		s.Leave(events.Room(name))
		return `"left"`
	case "follow":
		s.Follow(events.Room(name), 0, func(uint64) (uint64, error) {
			c.wait()
			return 1, nil
		})
		c.begun <- struct{}{}
		return `"followed"`
	case "read":
		s.Follow(events.Room(name), 0, func(uint64) (uint64, error) {
			s.Emit(named{"read", 1})
			c.wait()
			return 1, nil
		})
		return `"followed"`
	case "flood":
		for range 20 {
			s.Emit(named{"said", strings.Repeat("x", 40<<10)})
		}
		return `"flooded"`
	}
	return joining(s, event, args, ack)
}

func (f *fixture) session(sid string) *Session { return f.srv.spaces["/"].sessions.find(sid) }

// departed waits until a session has left its rooms.
func (f *fixture) departed(s *Session) {
	f.t.Helper()
	f.until(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.state == stateEnded && !s.departing
	})
}

// leaves cuts a connection, and waits for the same.
func (f *fixture) leaves(c *traveller) {
	f.t.Helper()
	s := f.session(c.sid)
	c.Close()
	f.departed(s)
}

func newCut(t *testing.T) (*fixture, cutting) {
	c := newCutting()
	return newFixture(t, Options{Recovery: RecoveryOptions{Window: time.Minute}}, recoverable(), c.handle), c
}

// A handler that ends between the cut and the departure takes no rooms away.
func TestCutWhileFollowing(t *testing.T) {
	f, c := newCut(t)
	was, _ := f.travel(nil, "ann")
	was.join("x")
	was.send(`42["follow","run"]`)
	<-c.begun
	s, sp := f.session(was.sid), f.srv.spaces["/"]
	sp.wide.Lock()
	was.Close()
	f.until(func() bool { return s.is(stateEnded) })
	c.goOn <- struct{}{}
	<-c.begun
	sp.wide.Unlock()
	back, recovered := f.travel(was, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("restored", `"state of `+was.sid+`"`)
	f.say("x", "1")
	back.wants("news", "1")
	f.leaves(back)
	f.until(func() bool { return f.srv.Stats().Rooms == 0 })
}

// Who was sent a part of what it asked for, and is not in the room, begins
// anew: it asks again, and must not get that twice.
func TestCutWhileReading(t *testing.T) {
	f, c := newCut(t)
	was, _ := f.travel(nil, "ann")
	was.join("x")
	was.send(`42["read","run"]`)
	<-c.begun
	f.leaves(was)
	c.goOn <- struct{}{}
	if _, recovered := f.travel(was, "ann"); recovered {
		t.Error("recovered with a part of what it asks for again")
	}
	f.until(func() bool { return f.srv.Stats().Rooms == 0 })
}

// Who has got nothing at all begins anew when that cannot be told any more.
func TestCutBeforeTheFirstEvent(t *testing.T) {
	f, _ := newCut(t)
	was, _ := f.travel(nil, "ann")
	was.send(`42["flood","x"]`)
	s := f.session(was.sid)
	f.until(func() bool {
		s.trail.mu.Lock()
		defer s.trail.mu.Unlock()
		return len(s.trail.own) > 0 && s.trail.first != s.trail.begun
	})
	was.Close()
	if _, recovered := f.travel(was, "ann"); recovered {
		t.Error("recovered without what was dropped")
	}
}

// What a handler does after the cut comes after what was published by then,
// and a room that it leaves is left.
func TestHandledAfterTheCut(t *testing.T) {
	f, c := newCut(t)
	was, _ := f.travel(nil, "ann")
	was.join("x")
	was.join("y")
	was.send(`42["wait","x"]`)
	<-c.begun
	was.send(`42["leave","y"]`)
	was.send(`42["say","late"]`)
	s := f.session(was.sid)
	f.until(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.queue) == 2
	})
	was.Close()
	f.departed(s)
	f.say("x", "1")
	c.goOn <- struct{}{}
	back, recovered := f.travel(was, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("news", "1")
	back.wants("said", "late")
	back.wants("restored", `"state of `+was.sid+`"`)
	f.say("y", "2")
	f.say("x", "3")
	back.wants("news", "3")
}

// What was published before a client left a room and came again is told to
// nobody any more.
func TestCutAfterLeavingAndJoining(t *testing.T) {
	f, _ := newCut(t)
	was, _ := f.travel(nil, "ann")
	was.join("x")
	f.say("x", "1")
	was.wants("news", "1")
	had := *was
	f.say("x", "2")
	was.wants("news", "2")
	was.send(`421["leave","x"]`)
	was.expect(`431["left"]`)
	was.join("x")
	was.Close()
	if _, recovered := f.travel(&had, "ann"); recovered {
		t.Error("recovered without 2")
	}
}

// A room that nobody was in while its client was away notices what it missed
// as others do.
func TestMissedWhileAway(t *testing.T) {
	f, _ := newCut(t)
	publish := func(n uint64) {
		f.srv.Publish("/", "x", cluster.Position{Offset: n, Prev: n - 1}, named{"news", n})
	}
	was, _ := f.travel(nil, "ann")
	was.join("x")
	publish(4)
	was.wants("news", "4")
	f.leaves(was)
	publish(5)
	back, recovered := f.travel(was, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("news", "5")
	back.wants("restored", `"state of `+was.sid+`"`)
	f.leaves(back)
	publish(7)
	if _, recovered := f.travel(back, "ann"); recovered {
		t.Error("recovered without 6")
	}
}

// What a client gets alone while it is brought to where it would be comes
// after that.
func TestEmittedDuringTheReplay(t *testing.T) {
	ns := recoverable()
	ns.Opened = func(_ context.Context, s namespaces.Session) { s.Emit(named{"hello", ""}) }
	f := newFixture(t, Options{Recovery: RecoveryOptions{Window: time.Minute}}, ns, joining)
	was, _ := f.travel(nil, "ann")
	was.wants("hello", "")
	had := *was
	was.send(`42["say","a"]`)
	was.wants("said", "a")
	was.Close()
	back, recovered := f.travel(&had, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("said", "a")
	back.wants("hello", "")
	back.wants("restored", `"state of `+was.sid+`"`)
}

// What a client got while its server had lost the others does not come again
// from one of those.
func TestRecoveryAfterAnOutage(t *testing.T) {
	net := clustertest.New(true)
	busA := net.Bus()
	a, b := station(t, busA, Options{}, recoverable()), station(t, net.Bus(), Options{}, recoverable())
	publish := func(f *fixture, n uint64) {
		f.srv.Publish("/", "x", cluster.Position{Offset: n, Prev: n - 1}, named{"news", n})
	}
	there, _ := b.travel(nil, "bob")
	there.join("x")
	was, _ := a.travel(nil, "ann")
	was.join("x")
	publish(a, 1)
	was.wants("news", "1")
	there.wants("news", "1")
	busA.SetUp(false)
	publish(a, 2)
	was.wants("news", "2")
	busA.SetUp(true)
	there.wants("news", "2")
	was.Close()
	back, recovered := b.travel(was, "ann")
	if !recovered {
		t.Fatalf("not recovered at %s: %s", was.offset, b.log)
	}
	back.wants("restored", `"state of `+was.sid+`"`)
}

// Who leaves by itself, and enters again by the same connection, does not end
// that, also while an event is being handled.
func TestReenteringWhileAnEventIsHandled(t *testing.T) {
	f, c := newCut(t)
	was, _ := f.travel(nil, "ann")
	was.send(`42["wait","x"]`)
	<-c.begun
	was.send("41")
	was.send(`40{"token":"ann","pid":"` + was.pid + `"}`)
	if got := was.read(); !strings.HasPrefix(got, "40{") || strings.Contains(got, was.pid) {
		t.Errorf("answered %s", got)
	}
	c.goOn <- struct{}{}
}

// An acknowledgement of what was sent by an earlier connection is not taken for
// another.
func TestAcknowledgementAfterTheCut(t *testing.T) {
	f, _ := newCut(t)
	c, _ := f.travel(nil, "ann")
	ask := func(c *traveller) string {
		go f.srv.In("/").EmitWithAck(t.Context(), 10*time.Second, "ask", nil)
		return strings.TrimSuffix(strings.TrimPrefix(c.read(), "42"), `["ask"]`)
	}
	before := ask(c)
	c.Close()
	back, recovered := f.travel(c, "ann")
	if !recovered {
		t.Fatal("not recovered")
	}
	back.wants("restored", `"state of `+c.sid+`"`)
	if after := ask(back); after == before {
		t.Errorf("both are %s", after)
	} else if _, err := strconv.ParseUint(after, 10, 32); err != nil {
		t.Error(err)
	}
}

// The library's word on an earlier session says nothing about the one that
// goes on in its place.
func TestEarlierSessionInRegistry(t *testing.T) {
	var r registry
	first, second := &Session{id: "a"}, &Session{id: "a"}
	r.add(first, "a")
	r.add(second, "b")
	if r.findByLibrary("a") != nil || r.findByLibrary("b") != second || r.find("a") != second {
		t.Error("mixed up")
	}
	r.remove(first)
	if r.find("a") != second {
		t.Error("gone with the first")
	}
}

// A client that comes and goes does not cost others their sessions, nor its
// own.
func TestSessionsAreForgottenOldestFirst(t *testing.T) {
	f := newFixture(t, Options{Recovery: RecoveryOptions{Window: time.Minute, MaxBytes: 2000}}, recoverable(), joining)
	r := f.srv.recovery
	r.keep("p", &saved{})
	r.take(t.Context(), "p", owner{})
	for _, pid := range []string{"q", "p", "r", "s"} {
		r.keep(pid, &saved{})
	}
	for pid, want := range map[string]bool{"q": false, "p": true, "r": true, "s": true} {
		if got := r.saved[pid] != nil; got != want {
			t.Errorf("%s: kept is %v", pid, got)
		}
	}
	for range 100 {
		r.take(t.Context(), "p", owner{})
		r.keep("p", &saved{})
	}
	r.sweep(time.Now().Add(time.Hour))
	if len(r.order) > 0 || len(r.saved) > 0 || r.bytes != 0 {
		t.Errorf("left %d of %d, %d bytes", len(r.saved), len(r.order), r.bytes)
	}
}

// IDs ascend whatever comes.
func TestRecentAscends(t *testing.T) {
	r := newRecent(time.Minute, 1<<20, true)
	at := func(seq, sub uint64) cluster.ID { return cluster.ID{Ms: 1, Seq: seq, Sub: sub} }
	add := func(id cluster.ID) cluster.ID {
		b := newBroadcast("/", []json.RawMessage{json.RawMessage(`"news"`)}, nil)
		r.add(b, id)
		return b.id
	}
	for _, id := range []cluster.ID{at(1, 0), at(9, 0), at(5, 0), {}, at(10, 3), at(10, 1), at(11, 0)} {
		before := r.now()
		if got := add(id); got.Compare(before) <= 0 || got != r.now() {
			t.Errorf("%v got %v after %v", id, got, before)
		}
		if own := r.after(r.now()); own.Compare(r.now()) <= 0 {
			t.Errorf("%v is after %v", own, r.now())
		}
	}
	if all, _, complete := r.list(at(9, 0)); len(all) != 5 || !complete {
		t.Errorf("%d after 9, %v", len(all), complete)
	}
}

// What is emitted to a client that is leaving does not stop it.
func TestEmitWhileLeaving(t *testing.T) {
	f := newRecovering(t, 0)
	f.enter()
	s := f.srv.spaces["/"].sessions.all()[0]
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 5000 {
				s.leaving()
			}
		})
		both.Go(func() {
			for range 5000 {
				s.emit("said", nil, nil)
			}
		})
	}
	both.Wait()
}
