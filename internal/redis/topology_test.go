package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/certificate"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/redis/redistest"
)

// A replica takes over, also one that has not got everything: IDs ascend, those
// who may have missed something know, and the sender's broadcasts come once.
func TestFailover(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		master := redistest.Start(t, redistest.Options{Password: "p"})
		replica := redistest.StartReplica(t, master, redistest.Options{})
		sentinel := redistest.StartSentinel(t, master, 1)
		o := settings(master, adapter)
		o.URL, o.Addrs, o.Master, o.Password = "", []string{sentinel.Addr()}, redistest.MasterName, "p"
		a, b := join(t, o), join(t, o)
		list := count("m", 0, 300)
		a.sayAll(list[:100])
		b.awaitTexts(list[:100])
		if a.Ordered() { // in both servers' clocks, it will be the last that the replica knows
			a.awaitTexts(list[:100])
			a.await("the replica", func() bool { return replica.Do("XLEN", "socket.io") == int64(100) })
		}
		replica.Pause()
		master.Do("CLIENT", "KILL", "TYPE", "replica")
		a.sayAll(list[100:150])
		b.awaitTexts(list[:150])
		master.Kill()
		replica.Resume()
		a.awaitDown()
		sentinel.AwaitMasterOtherThan(master.Addr())
		a.sayAll(list[150:200])
		a.awaitUp()
		b.awaitUp()
		a.sayAll(list[200:])
		b.await("the end", func() bool { return slices.Contains(texts(b.got()), "m299") })
		b.await("a resync", func() bool { return b.resynced() > 0 })
		if a.Ordered() {
			b.awaitTexts(list)
			a.awaitTexts(list)
			a.ascends()
			b.ascends()
			if _, complete, err := a.Since(t.Context(), "/", b.got()[149].ID); complete || err != nil {
				t.Errorf("complete although the entry was lost: %v", err)
			}
		}
	})
}

// The clock of the new master is behind: entries get IDs that are lower than
// what was read.
func TestLowerIDs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	a, b := join(t, settings(s, Streams)), join(t, settings(s, Streams))
	ahead := cluster.ID{Ms: uint64(time.Now().Add(time.Hour).UnixMilli()), Seq: 5}
	s.Do("XADD", "socket.io", ahead.String(), "uid", "js", "nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":["e","js"]},"opts":{}}`)
	a.Publish(say("one"))
	b.awaitTexts([]string{"js", "one"})
	a.awaitTexts([]string{"js", "one"})
	c := enlist(t, settings(s, Streams)) // which is there first
	s.Kill()
	a.awaitDown()
	b.awaitDown()
	s.Restart()
	c.start()
	c.Publish(say("two"))
	a.Publish(say("three"))
	a.awaitUp()
	b.awaitUp()
	c.awaitUp()
	c.Publish(say("four"))
	b.await("all", func() bool { return len(texts(b.got())) >= 5 })
	got := texts(b.got())
	slices.Sort(got[2:])
	if !slices.Equal(got, []string{"js", "one", "four", "three", "two"}) {
		t.Errorf("%q", got)
	}
	b.ascends()
	a.ascends()
	if b.resynced() == 0 {
		t.Error("no resync")
	}
}

// What was cut off while a server was away is told.
func TestTrimmed(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{Keep: true, Args: []string{"--stream-node-max-entries", "10"}})
	o := settings(s, Streams)
	a := join(t, o)
	a.Publish(say("one"))
	a.awaitTexts([]string{"one"})
	s.Kill()
	a.awaitDown()
	if a.resynced() != 0 {
		t.Error("a resync before there was a reason")
	}
	s.Restart()
	a.awaitUp()
	a.Publish(say("two"))
	a.awaitTexts([]string{"one", "two"})
	if a.resynced() != 0 {
		t.Error("a resync although nothing is missing")
	}
	a.link.Load().fail(fmt.Errorf("told to"))
	s.Do("XADD", "socket.io", "MAXLEN", "1", "*", "uid", "js", "nsp", "/", "type", "3", "data", `{"packet":{"type":2,"data":["e","three"]},"opts":{}}`)
	a.await("a resync", func() bool { return a.resynced() > 0 })
	a.awaitTexts([]string{"one", "two", "three"})
}

// A reader that is overtaken by the end that is cut off knows.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{Args: []string{"--stream-node-max-entries", "10"}})
	o := settings(s, Streams)
	o.Stream.MaxLen = 200
	a, b := join(t, o), join(t, o)
	hold, held := make(chan struct{}), make(chan struct{})
	b.mu.Lock()
	b.answer = func(m *cluster.Message) {
		if len(b.got()) == 2 {
			close(held)
			<-hold
		}
	}
	b.mu.Unlock()
	a.sayAll(count("m", 0, 2))
	<-held
	list := count("m", 0, 1000)
	for end := 50; end <= len(list); end += 50 { // no faster than a reads
		a.sayAll(list[max(2, end-50):end])
		a.awaitTexts(list[:end])
	}
	if a.resynced() != 0 {
		t.Error("a resync without a reason")
	}
	close(hold)
	b.await("the end", func() bool { return slices.Contains(texts(b.got()), "m999") })
	b.await("a resync", func() bool { return b.resynced() > 0 })
	b.ascends()
}

// Several streams divide the namespaces.
func TestStreamCount(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	o := settings(s, Streams)
	o.Stream.Count = 3
	a, b := join(t, o), join(t, o)
	other := say("other")
	other.Namespace = "/chat"
	a.Publish(other)
	a.Publish(say("root"))
	for _, m := range []*member{a, b} {
		m.awaitTexts([]string{"root"})
	}
	for name, want := range map[string]int64{"socket.io": 0, "socket.io-0": 0, "socket.io-1": 1, "socket.io-2": 1} {
		if got := s.Do("XLEN", name); got != want {
			t.Errorf("%s has %v entries", name, got)
		}
	}
	// As JavaScript has it, except where that has nothing.
	for namespace, want := range map[string]int{"/": 2, "/monitor": 1, "/chat": 1, "/abcdefgh": 2} {
		if got := a.streams.stream(namespace); got != want {
			t.Errorf("%s: %d", namespace, got)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{TLS: true, Password: "p"})
	o := settings(s, Streams)
	o.URL, o.Addrs, o.Password = "", []string{s.Addr()}, "p"
	o.TLS = certificate.Client{Enabled: true, CA: s.Certs().CA, Cert: s.Certs().Cert, Key: s.Certs().Key, ServerName: "redis.example"}
	join(t, o)
	for what, change := range map[string]func(*Options){
		"certificate":   func(o *Options) { o.TLS.CA = "" },
		"tls":           func(o *Options) { o.TLS.Cert = "" },
		"other.example": func(o *Options) { o.TLS.ServerName = "other.example" },
		"password":      func(o *Options) { o.Password = "wrong" },
	} {
		bad := o
		change(&bad)
		m := enlist(t, bad)
		m.start()
		m.await(what, func() bool { return strings.Contains(strings.ToLower(m.Status().Error), what) })
	}
	for _, bad := range []Options{
		{Adapter: Classic, TLS: certificate.Client{Enabled: true, CA: "/no/such/file"}},
		{Adapter: Classic, TLS: certificate.Client{Enabled: true, CA: s.Certs().Key}},
		{Adapter: Classic, TLS: certificate.Client{Enabled: true, Cert: "/no/such/file"}},
		{Adapter: Classic, URL: "http://:secret@x"},
		{Adapter: "pigeon"},
	} {
		if _, err := New(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// docs/redis.md says what a user needs.
func TestAccessList(t *testing.T) {
	forEach(t, func(t *testing.T, adapter string) {
		s := redistest.Start(t, redistest.Options{})
		rule := "on >p resetchannels &socket.io* ~socket.io* ~sio:session:* +ping +select +multi +exec +publish +subscribe +psubscribe +pubsub"
		switch adapter {
		case Classic:
			rule += " &socket.io#/#* &socket.io#/other#*"
		case Sharded:
			rule += " +spublish +ssubscribe +sunsubscribe"
		case Streams:
			rule += " +xadd +xread +xrange +xinfo +set +getdel"
		}
		args := []any{"ACL", "SETUSER", "u"}
		for _, word := range strings.Fields(rule) {
			args = append(args, word)
		}
		s.Do(args...)
		o := settings(s, adapter)
		o.URL = "redis://u:p@" + s.Addr() + "/0"
		a, b := join(t, o), join(t, o)
		b.Enter("/", "r")
		b.Exit("/", "r")
		list := count("m", 0, 100)
		a.sayAll(list)
		b.awaitTexts(list)
		if n, err := a.Servers(t.Context(), "/"); n != 2 || err != nil {
			t.Errorf("%d servers, %v", n, err)
		}
		if err := a.Save(t.Context(), &cluster.SavedSession{PID: "p"}, time.Minute); err != nil {
			t.Error(err)
		}
		if _, err := b.Take(t.Context(), "p"); err != nil {
			t.Error(err)
		}
		a.link.Load().fail(errors.New("told to"))
		a.await("it came back", func() bool { st := a.Status(); return st.Up && st.Reconnects == 1 })
		if st := b.Status(); st.Reconnects != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 3)
	for _, adapter := range adapters {
		t.Run(adapter, func(t *testing.T) {
			o := settings(c.Nodes[0], adapter)
			o.URL, o.Addrs, o.Cluster, o.Timeout = "", c.Addrs(), true, 2*time.Second
			a, b := join(t, o), join(t, o)
			if n, err := a.Servers(t.Context(), "/"); n != 2 || err != nil {
				t.Errorf("%d servers, %v", n, err)
			}
			rooms := count("room", 0, 20)
			for _, r := range rooms {
				b.Enter("/", r)
			}
			if adapter == Sharded {
				b.await("the rooms", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.entered) == len(rooms) })
			}
			list := count("m", 0, 500)
			for _, r := range rooms {
				for _, text := range list[:20] {
					m := say(r + text)
					m.Target.Rooms = []string{r}
					a.Publish(m)
				}
			}
			b.await("all", func() bool { return len(b.got()) >= 20*len(rooms) })
			for _, r := range rooms {
				mine := slices.DeleteFunc(texts(b.got()), func(s string) bool { return !strings.HasPrefix(s, r+"m") })
				if !slices.Equal(mine, count(r+"m", 0, 20)) {
					t.Errorf("%s: %q", r, mine)
				}
			}
			b.forget()
			a.sayAll(list)
			b.awaitTexts(list)
			a.Send(cluster.Note{Topic: "topic"})
			b.await("a note", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.notes) == 1 })
			if a.Ordered() {
				sess := &cluster.SavedSession{ID: "s", PID: "p", Data: []byte(`{}`)}
				if err := a.Save(t.Context(), sess, time.Minute); err != nil {
					t.Error(err)
				}
				if back, err := b.Take(t.Context(), "p"); err != nil || back == nil {
					t.Errorf("%+v %v", back, err)
				}
			}
			if s := b.Status(); !s.Up || s.Reconnects != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Rooms of the sharded adapter are heard from their first member to the last,
// also after a reconnect.
func TestRooms(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	a, b := join(t, settings(s, Sharded)), join(t, settings(s, Sharded))
	in := func(room, text string) {
		m := say(text)
		m.Target.Rooms = []string{room}
		a.Publish(m)
	}
	entered := func(n int) {
		t.Helper()
		b.await("entering", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.entered) == n })
	}
	in("r", "before")
	a.await("it is sent", func() bool { return a.Status().Sent == 1 })
	b.Enter("/", "r")
	b.Enter("/", "12345678901234567890") // looks like a session
	b.Enter("/", "q")
	b.Exit("/", "q")
	entered(1)
	in("r", "one")
	in("12345678901234567890", "two")
	in("q", "nobody")
	b.awaitTexts([]string{"one", "two"})
	b.Exit("/", "r")
	b.Enter("/", "p")
	entered(2)
	in("r", "nobody")
	in("p", "three")
	b.awaitTexts([]string{"one", "two", "three"})
	s.Kill()
	b.awaitDown()
	b.Enter("/", "r")
	s.Restart()
	b.awaitUp()
	a.awaitUp()
	in("r", "four")
	in("p", "five")
	b.awaitTexts([]string{"one", "two", "three", "four", "five"})
	// Who is no Enterer is told to look for itself.
	c := enlist(t, settings(s, Sharded))
	c.in.receiver = struct{ cluster.Receiver }{c}
	c.start()
	c.awaitUp()
	c.Enter("/", "r")
	c.await("a resync", func() bool { return c.resynced() == 1 })
}

func TestSessionsWithoutStreams(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Options{})
	a := join(t, settings(s, Classic))
	if err := a.Save(t.Context(), &cluster.SavedSession{PID: "p"}, time.Minute); err != nil {
		t.Error(err)
	}
	if got, err := a.Take(t.Context(), "p"); got != nil || err != nil {
		t.Error(got, err)
	}
	if _, complete, err := a.Since(t.Context(), "/", cluster.ID{}); complete || err != nil {
		t.Error(err)
	}
	b := enlist(t, settings(s, Streams))
	if err := b.Save(t.Context(), &cluster.SavedSession{PID: "p"}, time.Minute); err != cluster.ErrUnavailable {
		t.Error(err)
	}
	if _, err := b.Take(t.Context(), "p"); err != cluster.ErrUnavailable {
		t.Error(err)
	}
	if _, _, err := b.Since(t.Context(), "/", cluster.ID{}); err != cluster.ErrUnavailable {
		t.Error(err)
	}
}
