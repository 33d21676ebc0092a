package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

func (m *member) awaitUp() { m.t.Helper(); m.await("it is up", func() bool { return m.Status().Up }) }

func (m *member) awaitDown() {
	m.t.Helper()
	m.await("it is down", func() bool { return !m.Status().Up })
}

// echoed checks that an ordered bus gives back what it publishes while it is
// down, and another does not.
func (m *member) echoed(list []string) {
	m.t.Helper()
	if m.Ordered() {
		m.awaitTexts(list)
		for _, msg := range m.got()[len(m.got())-1:] {
			if !msg.ID.IsZero() {
				m.t.Errorf("an echo has the ID %v", msg.ID)
			}
		}
	} else if got := m.got(); len(got) > 0 {
		m.t.Errorf("got %d messages", len(got))
	}
}

// What is published while Redis is dead arrives when it is back, in order and
// once; also if it comes back without data.
func TestOutage(t *testing.T) {
	for _, keep := range []bool{true, false} {
		t.Run(fmt.Sprintf("keep=%v", keep), func(t *testing.T) {
			forEach(t, func(t *testing.T, adapter string) {
				s := redistest.Start(t, redistest.Options{Keep: keep})
				a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
				list := count("m", 0, 300)
				a.sayAll(list[:100])
				b.awaitTexts(list[:100])
				if a.Ordered() {
					a.awaitTexts(list[:100])
				}
				s.Kill()
				a.awaitDown()
				b.awaitDown()
				a.sayAll(list[100:200])
				lossy := say("volatile")
				lossy.Volatile = true
				a.Publish(lossy)
				a.Send(cluster.Note{Topic: "topic"})
				if a.Ordered() {
					a.echoed(list[:200])
				}
				if st := a.Status(); st.Waiting != 100 || st.Lost != 0 || st.Error == "" {
					t.Errorf("%+v", st)
				}
				if _, err := a.Servers(t.Context(), "/"); err != cluster.ErrUnavailable {
					t.Error(err)
				}
				s.Restart()
				a.awaitUp()
				b.awaitUp()
				a.sayAll(list[200:])
				b.await("the end", func() bool { return slices.Contains(texts(b.got()), "m299") })
				// Who was slower to come back missed what pub/sub carried meanwhile,
				// and knows.
				if a.Ordered() {
					b.awaitTexts(list)
					a.awaitTexts(list)
					b.ascends()
					a.ascends()
				} else {
					b.await("a resync", func() bool { return b.resynced() > 0 })
				}
				if !keep || !a.Ordered() {
					a.await("a resync", func() bool { return a.resynced() > 0 })
				}
				if got := texts(b.got()); slices.ContainsFunc(got, func(s string) bool { return s == "volatile" }) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
					t.Errorf("doubled or volatile: %q", got)
				}
				a.await("all is sent", func() bool { return a.Status().Waiting == 0 })
				if st := a.Status(); st.Reconnects != 1 || st.Error != "" {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// A server that does not answer is away; what it did before it stopped
// answering, and nobody was told, is not done twice.
func TestPause(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
		list := count("m", 0, 400)
		a.sayAll(list[:100])
		b.awaitTexts(list[:100])
		s.Pause()
		a.sayAll(list[100:200]) // these are in the server's socket when it wakes up
		a.awaitDown()
		b.awaitDown()
		if st := a.Status(); !strings.Contains(st.Error, "no answer within") {
			t.Errorf("%+v", st)
		}
		a.sayAll(list[200:300])
		if a.Ordered() {
			a.echoed(list[:300])
		}
		s.Resume()
		b.awaitUp()
		a.awaitUp()
		a.sayAll(list[300:])
		b.await("the end", func() bool { return slices.Contains(texts(b.got()), "m399") })
		got := texts(b.got())
		if !slices.IsSortedFunc(got, func(x, y string) int { return slices.Index(list, x) - slices.Index(list, y) }) ||
			len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("not in order: %q", got)
		}
		if a.Ordered() {
			a.awaitTexts(list)
			b.awaitTexts(list)
			// Nobody else saw anything twice, either.
			if n := s.Do("XLEN", "socket.io"); n != int64(len(list)) {
				t.Errorf("%v entries", n)
			}
		} else {
			b.await("a resync", func() bool { return b.resynced() > 0 })
		}
	})
}

// A publisher whose answer was lost says it again, and nobody hears it twice.
func TestLostAnswer(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		o := settings(s, adapter)
		a, b := join(t, o), join(t, o)
		items := []*item{{seq: 1, message: say("one"), stream: -1}, {seq: 2, message: say("two"), stream: -1}}
		for range 2 {
			if err := a.link.Load().send(items); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.link.Load().send([]*item{{seq: 3, message: say("three"), stream: -1}}); err != nil {
			t.Fatal(err)
		}
		b.await("three", func() bool { return slices.Contains(texts(b.got()), "three") })
		b.awaitTexts([]string{"one", "two", "three"})
		if b.Counters().Repeated != 2 {
			t.Errorf("%+v", b.Counters())
		}
	})
}

// Redis closes the connection of who does not read its messages. That is known,
// and those who come back hear again.
func TestOutputBuffer(t *testing.T) {
	t.Parallel()
	for _, adapter := range []string{Classic, Sharded} {
		t.Run(adapter, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.Options{Args: []string{"--client-output-buffer-limit", "pubsub 1mb 0 0"}})
			a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
			hold, held := make(chan struct{}), make(chan struct{}, 1)
			b.mu.Lock()
			b.answer = func(*cluster.Message) {
				select {
				case held <- struct{}{}:
				default:
				}
				<-hold
			}
			b.mu.Unlock()
			a.Publish(say("first"))
			<-held
			big := strings.Repeat("x", 1<<20)
			for range 16 { // more than the sockets take
				a.Publish(say(big))
			}
			a.await("all is sent", func() bool { return a.Status().Waiting == 0 })
			close(hold)
			b.await("the connection came back", func() bool { st := b.Status(); return st.Up && st.Reconnects == 1 })
			b.await("a resync", func() bool { return b.resynced() > 0 })
			a.Publish(say("last"))
			b.await("the last", func() bool { return slices.Contains(texts(b.got()), "last") })
		})
	}
}

// What is kept is bounded, and what is lost is counted and told.
func TestBounds(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{Keep: true})
		o := settings(s, adapter)
		o.QueueLength = 50
		a, b := join(t, o), join(t, settings(s, adapter))
		s.Kill()
		a.awaitDown()
		list := count("m", 0, 200)
		a.sayAll(list)
		if a.Ordered() {
			a.echoed(list)
		}
		if st := a.Status(); st.Waiting != 50 || st.Lost != 150 {
			t.Errorf("%+v", st)
		}
		a.mu.Lock()
		before := a.messages
		a.mu.Unlock()
		s.Restart()
		b.awaitUp()
		a.await("the queue is empty", func() bool { return a.Status().Up && a.Status().Waiting == 0 })
		a.Publish(say("end"))
		b.await("the end", func() bool { return slices.Contains(texts(b.got()), "end") })
		b.await("a resync", func() bool { return b.resynced() > 0 })
		if a.Ordered() {
			b.awaitTexts(append(list[150:], "end"))
			a.awaitTexts(append(texts(before), "end"))
		}
	})
}

// A burst beyond the bound while Redis is there: the sender still gets each of
// its broadcasts once, in order.
func TestBurst(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	o := settings(s, Streams)
	o.QueueLength = 100
	a := join(t, o)
	list := count("m", 0, 20000)
	a.sayAll(list)
	a.awaitTexts(list)
	if st := a.Status(); !st.Up || st.Lost == 0 {
		t.Errorf("%+v", st)
	}
}

func TestEndPublishesWhatWaits(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
		list := count("m", 0, 1000)
		a.sayAll(list)
		a.stop()
		b.awaitTexts(list)
		if st := a.Status(); st.Up || st.Error != "stopped" {
			t.Errorf("%+v", st)
		}
	})
}

// The server is started after the bus.
func TestStart(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		s.Kill()
		a := enlist(t, settings(s, adapter))
		a.Publish(say("before"))
		a.start()
		a.await("a reason", func() bool { return strings.Contains(a.Status().Error, "refused") })
		s.Restart()
		a.awaitUp()
		a.Publish(say("after"))
		if a.Ordered() {
			a.awaitTexts([]string{"before", "after"})
		}
	})
}

// Garbage is counted and does no harm.
func TestMalformed(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		a, b := join(t, settings(s, adapter)), join(t, settings(s, adapter))
		garbage := []string{"", "x", "{", `{"type":3,"data":{}}`, "\x93\xc0\xc0\xc0", "\x91", `{"uid":"u","nsp":"/","type":3,"data":{"packet":{"type":2,"data":[1]}}}`, "{\"\xff\":1}"}
		for _, g := range garbage {
			switch adapter {
			case Classic:
				for _, channel := range []string{"socket.io#/#", "socket.io#/#room#", "socket.io-request#/#", "socket.io-response#/#", "socket.io-roomcast"} {
					s.Do("PUBLISH", channel, g)
				}
			case Sharded:
				s.Do("SPUBLISH", "socket.io#/#", g)
			case Streams:
				s.Do("PUBLISH", "socket.io#/#", g)
				s.Do("XADD", "socket.io", "*", "uid", "u", "nsp", "/", "type", "3", "data", g)
				s.Do("XADD", "socket.io", "*", "nsp", "/", "type", g)
				s.Do("XADD", "socket.io", "*", "x", g)
			}
		}
		a.Publish(say("good"))
		b.awaitTexts([]string{"good"})
		if n := b.Counters().Malformed; n < int64(len(garbage))-2 {
			t.Errorf("%d malformed", n)
		}
	})
}
