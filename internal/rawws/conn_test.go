package rawws

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/websocket"
)

// slow is a dialect that repeats every frame, when gate lets it. Frames that are
// not handled by then see their context end.
type slow struct {
	gate chan struct{}
	url  string

	mu      sync.Mutex
	conn    *Conn
	handled []string
	late    int // frames that were handled although their context had ended
	left    bool
}

func (s *slow) Entered(context.Context) {}
func (s *slow) Hear(Notice)             {}

func (s *slow) Receive(ctx context.Context, f frame) {
	select {
	case <-s.gate:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled = append(s.handled, string(f.raw))
	if ctx.Err() != nil {
		s.late++
	}
	s.conn.Send(f.raw)
}

func (s *slow) Refuse(_ frame, e *events.Error) { s.conn.Send([]byte(e.Code)) }

func (s *slow) Left() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = true
}

func (s *slow) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// serveSlow starts a server with that dialect, and a client.
func serveSlow(t *testing.T) (srv *Server, s *slow, ws *websocket.Client) {
	t.Helper()
	s = &slow{gate: make(chan struct{})}
	srv = New(Options{
		Dialects: []Dialect{{Name: Bots, Auth: AuthNever, Speak: func(c *Conn) Speaker {
			s.conn = c
			return s
		}}},
		Logger: slog.New(slog.DiscardHandler),
	})
	s.url = serve(t, srv)
	ws = dialServer(t, s.url)
	return srv, s, ws
}

func serve(t *testing.T, srv *Server) (url string) {
	t.Helper()
	hs := httptest.NewServer(srv)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { srv.Run(ctx) })
	t.Cleanup(func() {
		srv.Close(ctx)
		cancel()
		hs.Close()
		running.Wait()
	})
	return hs.URL
}

func dialServer(t *testing.T, url string) *websocket.Client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), url+"/ws/bots", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	ws.SetDeadline(time.Now().Add(eventually.Patience))
	return ws
}

// say writes texts at once, and what follows them.
func say(ws *websocket.Client, more []byte, texts ...string) {
	var b []byte
	for _, text := range texts {
		b = websocket.AppendClientFrame(b, websocket.OpText, []byte(text))
	}
	ws.Write(append(b, more...))
}

// heard reads up to the close, which is the last of it.
func heard(t *testing.T, ws *websocket.Client) (texts []string, code websocket.Status) {
	t.Helper()
	for {
		_, text, err := ws.ReadMessage()
		var e *websocket.CloseError
		switch {
		case errors.As(err, &e):
			return texts, e.Code
		case err != nil:
			t.Fatalf("after %q: %v", texts, err)
		}
		texts = append(texts, string(text))
	}
}

// waiting returns when so many jobs wait behind the one that is being done.
func waiting(t *testing.T, srv *Server, n int) {
	t.Helper()
	eventually.True(t, func() bool {
		all := srv.all()
		if len(all) == 0 {
			return false
		}
		all[0].mu.Lock()
		defer all[0].mu.Unlock()
		return len(all[0].queue) == n
	})
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func closeFrame(code websocket.Status) []byte {
	return websocket.AppendClientFrame(nil, 8, binary.BigEndian.AppendUint16(nil, uint16(code)))
}

// A client that says something and goes has said it.
func TestSaidBeforeTheClientClosed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*websocket.Client){
		"a close":  func(ws *websocket.Client) { ws.Write(closeFrame(1000)) },
		"no close": func(ws *websocket.Client) { ws.Close() },
	} {
		srv, s, ws := serveSlow(t)
		say(ws, nil, "1", "2", "3")
		waiting(t, srv, 2)
		conn := srv.all()[0]
		end(ws)
		eventually.True(t, conn.gone.Load)
		close(s.gate)
		eventually.True(t, s.over)
		want(t, s.handled, "1", "2", "3")
		if s.late > 0 {
			t.Errorf("%s: %d frames were handled too late", name, s.late)
		}
		if conn.ctx.Err() == nil {
			t.Errorf("%s: the context has not ended", name)
		}
	}
}

// A message that is too long is answered after those before it, and then the
// connection ends in an orderly way.
func TestTooBigInOrder(t *testing.T) {
	t.Parallel()
	srv, s, ws := serveSlow(t)
	long := websocket.AppendClientFrame(nil, websocket.OpText, bytes.Repeat([]byte("x"), 1<<20))
	say(ws, long[:20], "1", "2")
	waiting(t, srv, 2) // the second, and what is said about the third
	ws.Write(long[20:])
	say(ws, long, "after it")
	close(s.gate)
	began := time.Now()
	texts, code := heard(t, ws)
	want(t, texts, "1", "2", string(events.CodeTooLarge))
	if code != websocket.StatusTooBig {
		t.Errorf("closed with %d", code)
	}
	if n, err := ws.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("something came after the close")
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the closing handshake took %v", took)
	}
	eventually.True(t, s.over)
	want(t, s.handled, "1", "2")
}

// What is no text ends the connection after what was said before.
func TestNoTextInOrder(t *testing.T) {
	t.Parallel()
	srv, s, ws := serveSlow(t)
	say(ws, websocket.AppendClientFrame(nil, websocket.OpBinary, []byte("\xff")), "1", "2")
	waiting(t, srv, 2)
	say(ws, nil, "after it")
	waiting(t, srv, 3)
	close(s.gate)
	texts, code := heard(t, ws)
	want(t, texts, "1", "2")
	if code != websocket.StatusUnsupportedData {
		t.Errorf("closed with %d", code)
	}
	eventually.True(t, s.over)
	want(t, s.handled, "1", "2")
}

// Whose credential ends while frames wait has said the last word before.
func TestNothingIsHandledAfterTheEnd(t *testing.T) {
	t.Parallel()
	srv, s, ws := serveSlow(t)
	say(ws, nil, "1", "2", "3")
	waiting(t, srv, 2)
	srv.all()[0].End(statusAuth, "your credential has ended")
	close(s.gate)
	if texts, code := heard(t, ws); len(texts) > 0 || code != statusAuth {
		t.Errorf("%q, closed with %d", texts, code)
	}
	eventually.True(t, s.over)
	want(t, s.handled, "1")
}

// A server that stops answers what it has taken in before it says so.
func TestStoppingInOrder(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*Server) error{
		"drain": func(srv *Server) error { srv.Drain(context.Background(), time.Second); return nil },
		"close": func(srv *Server) error { return srv.Close(context.Background()) },
	} {
		srv, s, ws := serveSlow(t)
		say(ws, nil, "1", "2")
		waiting(t, srv, 1)
		stopped := make(chan error, 1)
		go func() { stopped <- stop(srv) }()
		waiting(t, srv, 2)
		close(s.gate)
		texts, code := heard(t, ws)
		want(t, texts, "1", "2")
		if code != websocket.StatusGoingAway {
			t.Errorf("%s: closed with %d", name, code)
		}
		if err := <-stopped; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Who is not done in time is told all the same.
	srv, s, ws := serveSlow(t)
	say(ws, nil, "1", "2")
	waiting(t, srv, 1)
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.Close(over); err != nil {
		t.Error(err)
	}
	if texts, code := heard(t, ws); len(texts) > 0 || code != websocket.StatusGoingAway {
		t.Errorf("%q, closed with %d", texts, code)
	}
	want(t, s.handled, "1")
}

// Connections that vanish while they begin are not kept.
func TestVanishing(t *testing.T) {
	t.Parallel()
	srv, s, _ := serveSlow(t)
	close(s.gate)
	address := strings.TrimPrefix(s.url, "http://")
	const handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	eventually.True(t, func() bool { return len(srv.all()) == 1 }) // the client of serveSlow may know of its connection first
	first := srv.all()[0]
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 250 {
				nc, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				nc.Write([]byte(handshake))
				nc.(*net.TCPConn).SetLinger(0)
				nc.Close()
			}
		})
	}
	all.Wait()
	eventually.True(t, func() bool { return slices.Equal(srv.all(), []*Conn{first}) })
	eventually.True(t, func() bool {
		srv.address.mu.Lock()
		defer srv.address.mu.Unlock()
		return srv.address.n["127.0.0.1"] == 1 // it is let go of after the connection
	})
}

func TestAddresses(t *testing.T) {
	a := addresses{most: 2}
	for _, step := range []struct {
		address string
		enters  bool
	}{
		{"192.0.2.1", true},
		{"::ffff:192.0.2.1", true},
		{"192.0.2.1", false},
		{"192.0.2.2", true},
		{"2001:db8::1", true},
		{"2001:db8::2", true},
		{"2001:db8::3", false},
		{"2001:db8:0:1::1", true},
	} {
		if got := a.enter(step.address); got != step.enters {
			t.Errorf("%s: %t", step.address, got)
		}
	}
	for _, address := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::9", "2001:db8::8", "2001:db8:0:1::2"} {
		a.leave(address)
	}
	if len(a.n) > 0 {
		t.Errorf("%v are kept", a.n)
	}
}

// A handshake that is none is told why, as JSON.
func TestHandshakes(t *testing.T) {
	t.Parallel()
	_, s, _ := serveSlow(t)
	for name, row := range map[string]struct {
		method, path string
		change       map[string]string
		status       int
		header, want string
	}{
		"a page":             {"GET", "/ws", map[string]string{"Connection": "", "Upgrade": ""}, 426, "Upgrade", "websocket"},
		"no upgrade":         {"GET", "/ws", map[string]string{"Upgrade": ""}, 426, "Upgrade", "websocket"},
		"another upgrade":    {"GET", "/ws/bots", map[string]string{"Upgrade": "h2c"}, 426, "Upgrade", "websocket"},
		"an old version":     {"GET", "/ws", map[string]string{"Sec-WebSocket-Version": "8"}, 426, "Sec-Websocket-Version", "13"},
		"no version":         {"GET", "/ws", map[string]string{"Sec-WebSocket-Version": ""}, 426, "Sec-Websocket-Version", "13"},
		"no key":             {"GET", "/ws", map[string]string{"Sec-WebSocket-Key": ""}, 400, "", ""},
		"a short key":        {"GET", "/ws", map[string]string{"Sec-WebSocket-Key": "c2hvcnQ="}, 400, "", ""},
		"a POST":             {"POST", "/ws", nil, 405, "Allow", "GET"},
		"no such path":       {"GET", "/ws/anything", nil, 404, "", ""},
		"no such path below": {"GET", "/ws/bots/more", nil, 404, "", ""},
		"not spoken here":    {"GET", "/ws/genesis", nil, 404, "", ""},
	} {
		req, _ := http.NewRequest(row.method, s.url+row.path, nil)
		for header, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			if changed, ok := row.change[header]; ok {
				value = changed
			}
			if value != "" {
				req.Header.Set(header, value)
			}
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		body.ReadFrom(res.Body)
		res.Body.Close()
		if res.StatusCode != row.status || res.Header.Get("Content-Type") != "application/json" || !strings.HasPrefix(body.String(), `{"error":{"code":"`) || res.Header.Get(row.header) != row.want {
			t.Errorf("%s: %s %v %s", name, res.Status, res.Header, &body)
		}
	}
}
