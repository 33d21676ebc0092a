package canary_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/canary"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/eventually"
)

// server answers canaries on the ways that are not deaf.
type server struct {
	t      *testing.T
	secret string
	engine *engineio.Server
	up     atomic.Bool
	mute   atomic.Bool // as a listener that takes nothing in
	deaf   atomic.Bool // as a subscription that is not there
	shut   atomic.Bool // as one that lets nobody in
	swap   atomic.Bool // answers in pairs, the later first
	since  atomic.Int64
}

func (s *server) open(c *engineio.Conn, _ *http.Request) engineio.Session {
	return &session{server: s, conn: c}
}

type session struct {
	*server
	conn *engineio.Conn
	held string
}

func (*session) Closed(engineio.Reason) {}

func (s *session) Message(t *engineio.Turn, data []byte, _ bool) {
	text := string(data)
	switch {
	case s.mute.Load():
	case strings.HasPrefix(text, "0/canary,"):
		if text != `0/canary,{"secret":"`+s.secret+`"}` {
			s.t.Errorf("entered with %s", text)
		}
		s.conn.Reply(t, []byte(`0/canary,{"sid":"x"}`))
	default:
		n := strings.TrimSuffix(strings.TrimPrefix(text, `2/canary,["canary",`), "]")
		s.say(t, "listener", n)
		switch {
		case s.deaf.Load() || !s.up.Load():
		case s.swap.Load() && s.held == "":
			s.held = n
		default:
			s.say(t, "bus", n)
			if s.held != "" {
				s.say(t, "bus", s.held)
				s.held = ""
			}
		}
	}
}

func (s *session) say(t *engineio.Turn, by, n string) {
	s.conn.Reply(t, fmt.Appendf(nil, `2/canary,["canary","%s",%s]`, by, n))
}

func (s *server) setUp(up bool) {
	s.since.Store(time.Now().UnixNano())
	s.up.Store(up)
}

// listen runs a canary against a server.
func listen(t *testing.T, limit time.Duration) (*server, *canary.Canary, *log) {
	t.Helper()
	s := &server{t: t, secret: "known to two"}
	s.setUp(true)
	s.engine = engineio.NewServer(engineio.Options{Open: s.open})
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.shut.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.engine.ServeHTTP(w, r)
	}))
	lines := &log{}
	c := canary.New(canary.Options{
		URL: hs.URL + "/", Namespace: "/canary", Secret: s.secret, Limit: limit, Logger: slog.New(slog.NewTextHandler(lines, nil)),
		BusUp: func() (time.Time, bool) { return time.Unix(0, s.since.Load()), s.up.Load() },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.engine.Run(ctx) })
	running.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		s.engine.Close(context.Background())
		hs.Close()
		running.Wait()
	})
	return s, c, lines
}

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), text)
}

// What is not heard for too long makes the server deaf, on either way, and what
// is heard again makes it hear; each is told once.
func TestDeafness(t *testing.T) {
	s, c, lines := listen(t, time.Second)
	hears := func() bool { return c.Deaf() == "" }
	if why := c.Deaf(); !strings.Contains(why, "yet") && why != "" {
		t.Errorf("before the first: %q", why)
	}
	eventually.True(t, hears)
	eventually.True(t, func() bool { return c.Stats()[canary.Bus].Heard > 0 })

	s.deaf.Store(true)
	eventually.True(t, func() bool { return strings.Contains(c.Deaf(), "by the bus") })
	eventually.True(t, func() bool { return lines.count("this server is deaf") == 1 })
	s.setUp(false) // then nobody expects to hear anything
	eventually.True(t, hears)
	s.deaf.Store(false)
	s.setUp(true)
	eventually.True(t, func() bool { return lines.count("hears again") == 1 })

	s.mute.Store(true)
	eventually.True(t, func() bool { return strings.Contains(c.Deaf(), "by its own listener") })
	s.mute.Store(false)
	eventually.True(t, hears)

	heard := c.Stats()[canary.Listener].Heard
	eventually.True(t, func() bool { return c.Stats()[canary.Listener].Heard > heard })
	if lost := c.Stats()[canary.Bus].Lost; lost == 0 {
		t.Error("nothing was lost by the bus")
	}
}

// A server that lets nobody in is deaf, and says why.
func TestShut(t *testing.T) {
	s, c, _ := listen(t, time.Second)
	eventually.True(t, func() bool { return c.Deaf() == "" })
	s.shut.Store(true)
	s.engine.Close(t.Context())
	eventually.True(t, func() bool { return strings.Contains(c.Deaf(), "connecting: ") })
}

func TestNumbers(t *testing.T) {
	s, c, _ := listen(t, 500*time.Millisecond)
	s.swap.Store(true)
	eventually.True(t, func() bool { return c.Stats()[canary.Bus].Reordered > 2 })
	all := c.Stats()
	if l := all[canary.Listener]; l.Reordered != 0 || l.Heard == 0 || l.Sent < l.Heard || l.Sum <= 0 || l.Latency[canary.Buckets[len(canary.Buckets)-1]] != uint64(l.Heard) {
		t.Errorf("%+v", l)
	}
	s.setUp(false)
	sent := c.Stats()
	eventually.True(t, func() bool { return c.Stats()[canary.Listener].Sent > sent[canary.Listener].Sent+2 })
	if now := c.Stats()[canary.Bus].Sent; now > sent[canary.Bus].Sent+1 {
		t.Errorf("%d canaries were sent to a bus that is down", now-sent[canary.Bus].Sent)
	}
}
