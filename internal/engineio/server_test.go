package engineio

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/websocket"
)

// echoSession sends every message back.
type echoSession struct {
	c      *Conn
	closed chan Reason
	hold   atomic.Pointer[func(data []byte)] // called before a message is sent back, when set
}

func (s *echoSession) Message(_ *Turn, data []byte, binary bool) {
	if hold := s.hold.Load(); hold != nil {
		(*hold)(data)
	}
	if binary {
		s.c.Send(BinaryFrame(data))
	} else {
		s.c.Reply(nil, data)
	}
}

func (s *echoSession) Closed(reason Reason) { s.closed <- reason }

// fixture is a server on a free port and the sessions it has opened.
type fixture struct {
	t        *testing.T
	srv      *Server
	url      string // of the endpoint, with a trailing slash
	sessions chan *echoSession
	http     *httptest.Server
}

// quick are the heartbeats that the official suites ask for.
var quick = Options{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond, AllowEIO3: true}

func newFixture(t *testing.T, opts Options) *fixture {
	t.Helper()
	f := &fixture{t: t, sessions: make(chan *echoSession, 1024)}
	opts.Open = func(c *Conn, _ *http.Request) Session {
		s := &echoSession{c: c, closed: make(chan Reason, 1)}
		f.sessions <- s
		return s
	}
	f.srv = NewServer(opts)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.srv.Run(ctx) })
	f.http = httptest.NewServer(f.srv)
	f.url = f.http.URL + "/engine.io/"
	t.Cleanup(func() {
		closing, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := f.srv.Close(closing); err != nil {
			t.Errorf("closing: %v", err)
		}
		if n := f.srv.Len(); n != 0 {
			t.Errorf("%d connections were left", n)
		}
		f.http.Close()
		cancel()
		running.Wait()
	})
	return f
}

// do sends a request and returns the status and body. A body makes it a POST.
func (f *fixture) do(query string, body ...string) (int, string) {
	f.t.Helper()
	res := f.request(query, "", body...)
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func (f *fixture) request(query, contentType string, body ...string) *http.Response {
	f.t.Helper()
	method, r := "GET", io.Reader(nil)
	if len(body) > 0 {
		method, r = "POST", strings.NewReader(body[0])
	}
	req, err := http.NewRequest(method, f.url+"?"+query, r)
	if err != nil {
		f.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	return res
}

// expect fails unless the request is answered so.
func (f *fixture) expect(status int, want, query string, body ...string) {
	f.t.Helper()
	got, text := f.do(query, body...)
	if got != status || (want != "" && text != want) {
		f.t.Fatalf("%s %q: %d %q, want %d %q", query, body, got, text, status, want)
	}
}

type handshake struct {
	SID          string
	Upgrades     []string
	PingInterval int
	PingTimeout  int
	MaxPayload   int
}

// poll opens a polling connection and returns the query that belongs to it.
func (f *fixture) poll(query string) string {
	f.t.Helper()
	status, body := f.do(query + "&transport=polling")
	at := strings.Index(body, "0{")
	if status != 200 || at < 0 {
		f.t.Fatalf("handshake: %d %q", status, body)
	}
	var h handshake
	if err := json.Unmarshal([]byte(body[at+1:]), &h); err != nil {
		f.t.Fatal(err)
	}
	return query + "&transport=polling&sid=" + h.SID
}

// ws is a WebSocket client with a deadline.
type ws struct {
	t *testing.T
	*websocket.Client
}

func (f *fixture) dial(query string) (*ws, error) {
	f.t.Helper()
	c, _, err := websocket.Dial(f.t.Context(), f.url+"?"+query+"&transport=websocket", nil)
	if err != nil {
		return nil, err
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return &ws{f.t, c}, nil
}

func (f *fixture) mustDial(query string) *ws {
	f.t.Helper()
	c, err := f.dial(query)
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (c *ws) send(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.OpText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *ws) expect(want string) {
	c.t.Helper()
	_, got, err := c.ReadMessage()
	if err != nil || string(got) != want {
		c.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// expectClose reads until the server closes.
func (c *ws) expectClose() *websocket.CloseError {
	c.t.Helper()
	for {
		_, _, err := c.ReadMessage()
		var e *websocket.CloseError
		if errors.As(err, &e) || err == io.EOF {
			return e
		}
		if err != nil {
			c.t.Fatalf("waiting for the close: %v", err)
		}
	}
}

func TestHandshake(t *testing.T) {
	f := newFixture(t, quick)
	for _, tt := range []struct {
		query    string
		upgrades int
		prefix   string
	}{
		{"EIO=4", 1, "0"},
		{"EIO=3", 1, "100:0"},
	} {
		_, body := f.do(tt.query + "&transport=polling")
		at := strings.Index(body, "0{")
		if at < 0 {
			t.Fatalf("%s: %q", tt.query, body)
		}
		var h handshake
		json.Unmarshal([]byte(body[at+1:]), &h)
		if len(h.SID) != 20 || len(h.Upgrades) != tt.upgrades || h.PingInterval != 300 || h.PingTimeout != 200 || h.MaxPayload != 1000000 {
			t.Errorf("%s: %+v", tt.query, h)
		}
		c := f.mustDial(tt.query)
		_, msg, err := c.ReadMessage()
		if err != nil || msg[0] != '0' || !strings.Contains(string(msg), `"upgrades":[]`) {
			t.Errorf("%s over WebSocket: %q %v", tt.query, msg, err)
		}
		c.Close()
	}
}

func TestBadHandshakes(t *testing.T) {
	f := newFixture(t, Options{})
	for _, query := range []string{
		"transport=polling", "EIO=abc&transport=polling", "EIO=5&transport=polling",
		"EIO=3&transport=polling", "EIO=4", "EIO=4&transport=abc", "EIO=4&transport=polling&j=0",
		"EIO=4&transport=polling&sid=unknown",
	} {
		f.expect(400, "", query)
	}
	f.expect(400, "", "EIO=4&transport=polling", "body")
	req, _ := http.NewRequest("PUT", f.url+"?EIO=4&transport=polling", nil)
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 400 {
		t.Errorf("PUT: %v %v", res.Status, err)
	}
	for _, query := range []string{"", "EIO=abc", "EIO=4&sid=unknown"} {
		if _, err := f.dial(query); !errors.Is(err, websocket.ErrHandshake) {
			t.Errorf("WebSocket %q: %v", query, err)
		}
	}
}

func TestPollingMessages(t *testing.T) {
	f := newFixture(t, Options{AllowEIO3: true})
	for _, tt := range []struct{ name, query, post, get string }{
		{"one", "EIO=4", "4hello", "4hello"},
		{"several", "EIO=4", "4test1\x1e4test2\x1e4test3", "4test1\x1e4test2\x1e4test3"},
		{"binary", "EIO=4", "4hello\x1ebAQIDBA==", "4hello\x1ebAQIDBA=="},
		{"empty message", "EIO=4", "4", "4"},
		{"beyond 64 KiB", "EIO=4", "4" + strings.Repeat("é", 100_000), "4" + strings.Repeat("é", 100_000)},
		{"one, protocol 3", "EIO=3", "6:4hello", "6:4hello"},
		{"several, protocol 3", "EIO=3", "6:4test16:4test26:4test3", "6:4test16:4test26:4test3"},
		{"base64, protocol 3", "EIO=3&b64=1", "6:4hello10:b4AQIDBA==", "6:4hello10:b4AQIDBA=="},
		{"octets, protocol 3", "EIO=3", "6:4hello10:b4AQIDBA==", "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04"},
		{"lengths in UTF-16, protocol 3", "EIO=3", "4:4a😀3:4é!", "4:4a😀3:4é!"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := *f
			f.t = t
			q := f.poll(tt.query)
			f.expect(200, "ok", q, tt.post)
			f.expect(200, tt.get, q)
		})
	}
}

func TestOctetsPostedInProtocol3(t *testing.T) {
	f := newFixture(t, quick)
	q := f.poll("EIO=3")
	res := f.request(q, "application/octet-stream", "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04")
	if res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	f.expect(200, "\x00\x06\xff4hello\x01\x05\xff\x04\x01\x02\x03\x04", q)
}

func TestOctetsPostedInProtocol4(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	if res := f.request(q, "application/octet-stream", "4x"); res.StatusCode != 400 {
		t.Fatal(res.Status)
	}
	if r := <-(<-f.sessions).closed; r != ReasonTransportError {
		t.Errorf("closed with %q", r)
	}
}

// A malformed payload is answered with 400 and ends that connection only.
func TestMalformedPayloads(t *testing.T) {
	f := newFixture(t, quick)
	other := f.mustDial("EIO=4")
	other.ReadMessage()
	<-f.sessions
	for _, tt := range []struct{ query, body string }{
		{"EIO=4", "abc"},
		{"EIO=4", ""},
		{"EIO=4", "4a\x1e"},
		{"EIO=4", "b=bad="},
		{"EIO=4", "4\xff"},
		{"EIO=3", "2:4\xff"},
		{"EIO=4", "2"},
		{"EIO=4", "0"},
		{"EIO=4", "7"},
		{"EIO=3", "abc"},
		{"EIO=3", "5:4a"},
		{"EIO=3", ":4a"},
		{"EIO=3", "0:"},
		{"EIO=3", "99999999999999999999:4a"},
		{"EIO=3", "1:b"},
		{"EIO=3", "2:4😀"},
		{"EIO=3", "3"},
		{"EIO=3", "1:3"},
	} {
		q := f.poll(tt.query)
		f.expect(400, "", q, tt.body)
		if r := <-(<-f.sessions).closed; r != ReasonParseError {
			t.Errorf("%q: closed with %q", tt.body, r)
		}
		f.expect(400, "", q)
	}
	other.send("4still here")
	other.expect("4still here")
}

func TestOversizePost(t *testing.T) {
	f := newFixture(t, Options{MaxPayload: 1000})
	big := strings.Repeat("x", 1000)
	q := f.poll("EIO=4")
	f.expect(200, "ok", q, "4"+big[:999])
	f.expect(413, "", q, "4"+big)
	if r := <-(<-f.sessions).closed; r != ReasonTooBig {
		t.Errorf("closed with %q", r)
	}
	// Without a Content-Length the size shows only while reading.
	q = f.poll("EIO=4")
	req, _ := http.NewRequest("POST", f.url+"?"+q, io.MultiReader(strings.NewReader("4"), strings.NewReader(big)))
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 413 {
		t.Errorf("chunked: %v %v", res, err)
	}
	c := f.mustDial("EIO=4")
	c.send("4" + big)
	if e := c.expectClose(); e == nil || e.Code != websocket.StatusTooBig {
		t.Errorf("WebSocket: %v", e)
	}
}

func TestTwoPollsCloseTheConnection(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	c := (<-f.sessions).c
	first := make(chan string)
	go func() {
		_, body := f.do(q)
		first <- body
	}()
	eventually.True(t, c.pollWaiting)
	f.expect(400, "", q)
	if got := <-first; got != "1" {
		t.Errorf("the first poll got %q", got)
	}
	f.expect(400, "", q)
}

func (c *Conn) pollWaiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.poll != nil && c.poll.waiting
}

func TestAbandonedPollEndsTheConnection(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		eventually.True(t, s.c.pollWaiting)
	}()
	req, _ := http.NewRequestWithContext(ctx, "GET", f.url+"?"+q, nil)
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if r := <-s.closed; r != ReasonTransportClose {
		t.Errorf("closed with %q", r)
	}
	f.expect(400, "", q)
}

func TestWebSocketMessages(t *testing.T) {
	f := newFixture(t, quick)
	for _, tt := range []struct{ query, binary string }{{"EIO=4", "\x01\x02\x03\x04"}, {"EIO=3", "\x04\x01\x02\x03\x04"}} {
		c := f.mustDial(tt.query)
		c.ReadMessage()
		c.send("4hello")
		c.expect("4hello")
		c.WriteMessage(websocket.OpBinary, []byte(tt.binary))
		op, got, err := c.ReadMessage()
		if err != nil || op != websocket.OpBinary || string(got) != tt.binary {
			t.Errorf("%s: %d %q %v", tt.query, op, got, err)
		}
		c.Close()
	}
}

func TestMalformedPackets(t *testing.T) {
	f := newFixture(t, Options{AllowEIO3: true})
	for _, tt := range []struct{ query, text string }{
		{"EIO=4", "abc"}, {"EIO=4", ""}, {"EIO=4", "2"}, {"EIO=4", "0"}, {"EIO=4", "7"}, {"EIO=3", "3"}, {"EIO=3", "x"},
	} {
		c := f.mustDial(tt.query)
		c.ReadMessage()
		c.send(tt.text)
		if e := c.expectClose(); e == nil || e.Code != websocket.StatusProtocolError || e.Reason != string(ReasonParseError) {
			t.Errorf("%s %q: %v", tt.query, tt.text, e)
		}
		if r := <-(<-f.sessions).closed; r != ReasonParseError {
			t.Errorf("%s %q: closed with %q", tt.query, tt.text, r)
		}
	}
}

func TestHeartbeat(t *testing.T) {
	f := newFixture(t, Options{PingInterval: quick.PingInterval, PingTimeout: 5 * time.Second, AllowEIO3: true})
	var clients sync.WaitGroup
	clients.Go(func() {
		q := f.poll("EIO=4")
		for range 3 {
			f.expect(200, "2", q)
			f.expect(200, "ok", q, "3")
		}
	})
	clients.Go(func() {
		c := f.mustDial("EIO=4")
		c.ReadMessage()
		for range 3 {
			c.expect("2")
			c.send("3")
		}
	})
	clients.Go(func() {
		q := f.poll("EIO=3")
		for range 3 {
			f.expect(200, "ok", q, "1:2")
			f.expect(200, "1:3", q)
		}
	})
	clients.Go(func() {
		c := f.mustDial("EIO=3")
		c.ReadMessage()
		for range 3 {
			c.send("2")
			c.expect("3")
		}
	})
	clients.Wait()
}

// The time is the official suites': a client that was silent for interval and
// timeout is gone, not about to go.
func TestPingTimeout(t *testing.T) {
	f := newFixture(t, quick)
	var clients sync.WaitGroup
	for _, query := range []string{"EIO=4", "EIO=3"} {
		q := f.poll(query)
		s, late := <-f.sessions, time.After(500*time.Millisecond)
		clients.Go(func() {
			var r Reason
			select {
			case r = <-s.closed:
				f.expect(400, "", q)
			case <-late: // it is gone, even if its session has not been told
				f.expect(400, "", q)
				r = <-s.closed
			}
			if r != ReasonPingTimeout {
				t.Errorf("%s: closed with %q", query, r)
			}
		})
	}
	clients.Wait()
	for _, query := range []string{"EIO=4", "EIO=3"} {
		c := f.mustDial(query)
		start := time.Now()
		c.expectClose()
		if took := time.Since(start); took > 600*time.Millisecond {
			t.Errorf("%s: closed after %v", query, took)
		}
	}
}

func TestClientCloses(t *testing.T) {
	f := newFixture(t, quick)
	for _, tt := range []struct{ query, post, get string }{{"EIO=4", "1", "6"}, {"EIO=3", "1:1", "1:6"}} {
		q := f.poll(tt.query)
		s := <-f.sessions
		got := make(chan string)
		go func() {
			_, body := f.do(q)
			got <- body
		}()
		eventually.True(t, s.c.pollWaiting)
		f.expect(200, "ok", q, tt.post)
		if body := <-got; body != tt.get {
			t.Errorf("%s: the waiting poll got %q", tt.query, body)
		}
		f.expect(400, "", q)
		if r := <-s.closed; r != ReasonTransportClose {
			t.Errorf("%s: closed with %q", tt.query, r)
		}
		c := f.mustDial(tt.query)
		c.ReadMessage()
		c.send("1")
		c.expectClose()
		if r := <-(<-f.sessions).closed; r != ReasonTransportClose {
			t.Errorf("%s: closed with %q", tt.query, r)
		}
	}
}

// A poll and the client's own close may overtake each other on their way.
func TestPollAfterClientClosed(t *testing.T) {
	f := newFixture(t, quick)
	for _, tt := range []struct{ query, post, get string }{{"EIO=4", "1", "6"}, {"EIO=3", "1:1", "1:6"}} {
		q := f.poll(tt.query)
		f.expect(200, "ok", q, tt.post)
		f.expect(200, tt.get, q)
		f.expect(400, "", q)
	}
}

// So may a poll and the end of an upgrade.
func TestPollAroundTheEndOfAnUpgrade(t *testing.T) {
	f := newFixture(t, Options{})
	for range 50 {
		q := f.poll("EIO=4")
		c := f.mustDial("EIO=4" + q[strings.Index(q, "&sid="):])
		c.send("2probe")
		c.expect("3probe")
		c.send("5")
		f.expect(400, "", q)
		c.Close()
	}
}

func TestUpgrade(t *testing.T) {
	f := newFixture(t, Options{AllowEIO3: true})
	for _, tt := range []struct{ query, noop, post string }{{"EIO=4", "6", "4early"}, {"EIO=3", "1:6", "6:4early"}} {
		q := f.poll(tt.query)
		sid := q[strings.Index(q, "&sid="):]
		c := f.mustDial(tt.query + sid)
		if e := f.mustDial(tt.query + sid).expectClose(); e == nil || e.Code != websocket.StatusPolicyViolation {
			t.Errorf("%s: a second probe was closed with %v", tt.query, e)
		}
		c.send("2probe")
		c.expect("3probe")
		f.expect(200, tt.noop, q) // so that the client can pause polling
		f.expect(200, "ok", q, tt.post)
		c.send("5")
		c.expect("4early") // what was pending when the transport changed
		c.send("4hello")
		c.expect("4hello")
		f.expect(400, "", q)
		f.expect(400, "", q, tt.post)
		if e := f.mustDial(tt.query + sid).expectClose(); e == nil || e.Code != websocket.StatusPolicyViolation {
			t.Errorf("%s: a WebSocket after the upgrade was closed with %v", tt.query, e)
		}
		c.send("4hello")
		c.expect("4hello")
	}
}

// What a POST brings comes before what the WebSocket does, however long it
// takes.
func TestUpgradeDuringPost(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	release := make(chan struct{})
	s.hold.Store(ptr(func(data []byte) {
		if string(data) == "first" {
			<-release
		}
	}))
	posted := make(chan string)
	go func() {
		_, body := f.do(q, "4first\x1e4second")
		posted <- body
	}()
	eventually.True(t, func() bool {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		return s.c.poll.posting
	})
	c := f.mustDial("EIO=4" + q[strings.Index(q, "&sid="):])
	c.send("2probe")
	c.expect("3probe")
	c.send("5")
	c.send("4third")
	eventually.True(t, func() bool {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		return s.c.poll.upgrade != nil
	})
	close(release)
	if got := <-posted; got != "ok" {
		t.Errorf("the POST was answered with %q", got)
	}
	for _, want := range []string{"4first", "4second", "4third"} {
		c.expect(want)
	}
}

// A POST is not answered while the session takes nothing in, and neither is a
// WebSocket read.
func TestHold(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	s.hold.Store(ptr(func([]byte) { s.c.Hold() }))
	posted := make(chan string)
	go func() {
		_, body := f.do(q, "4a\x1e4b")
		posted <- body
	}()
	f.expect(200, "4a", q)
	s.c.Release()
	f.expect(200, "4b", q)
	select {
	case <-posted:
		t.Error("answered while on hold")
	default:
	}
	s.c.Release()
	if got := <-posted; got != "ok" {
		t.Errorf("answered with %q", got)
	}

	c := f.mustDial("EIO=4")
	c.ReadMessage()
	s = <-f.sessions
	s.hold.Store(ptr(func([]byte) { s.c.Hold() }))
	c.send("4a")
	c.send("4b")
	c.expect("4a")
	s.c.Release()
	c.expect("4b")
}

// What was queued when the server closed a polling connection is still
// fetched, and after it that it was closed.
func TestFarewell(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	s.c.Send(TextFrame([]byte("last")))
	s.c.Close(ReasonForcedClose)
	<-s.closed
	f.expect(200, "4last\x1e1", q)
	f.expect(400, "", q)
}

func TestDrain(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	s.c.Send(TextFrame([]byte("x")))
	drained := make(chan error)
	go func() { drained <- s.c.Drain(t.Context()) }()
	f.expect(200, "4x", q)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	s.c.Send(TextFrame([]byte("y")))
	go func() { drained <- s.c.Drain(t.Context()) }()
	s.c.Close(ReasonForcedClose)
	if err := <-drained; err != ErrClosed {
		t.Errorf("after the end: %v", err)
	}
}

func TestUpgradeEndsWaitingPoll(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	got := make(chan string)
	go func() {
		_, body := f.do(q)
		got <- body
	}()
	eventually.True(t, s.c.pollWaiting)
	c := f.mustDial("EIO=4" + q[strings.Index(q, "&sid="):])
	c.send("2probe")
	c.expect("3probe")
	if body := <-got; body != "6" {
		t.Errorf("the waiting poll got %q", body)
	}
	if s.c.Transport() != "polling" {
		t.Error("upgraded before the client said so")
	}
	c.send("5")
	eventually.True(t, func() bool { return s.c.Transport() == "websocket" })
}

func TestFailedProbeLeavesPolling(t *testing.T) {
	f := newFixture(t, Options{UpgradeTimeout: 20 * time.Millisecond})
	q := f.poll("EIO=4")
	sid := q[strings.Index(q, "&sid="):]
	c := f.mustDial("EIO=4" + sid)
	c.send("2probe")
	c.expect("3probe")
	c.expectClose() // the client never says "5"
	f.expect(200, "ok", q, "4x")
	f.expect(200, "4x", q)
	c = f.mustDial("EIO=4" + sid)
	eventually.True(t, func() bool { // the server has seen the end of the first probe
		c.send("4not a probe")
		e := c.expectClose()
		if e != nil && e.Code == websocket.StatusPolicyViolation {
			c = f.mustDial("EIO=4" + sid)
			return false
		}
		if e == nil || e.Code != websocket.StatusProtocolError {
			t.Errorf("closed with %v", e)
		}
		return true
	})
	eventually.True(t, func() bool {
		c := f.mustDial("EIO=4" + sid)
		c.send("2probe")
		_, answer, err := c.ReadMessage()
		if err != nil || string(answer) != "3probe" {
			return false
		}
		c.send("5")
		return true
	})
}

// Messages sent while the transport changes arrive once and in order.
func TestOrderAcrossUpgrade(t *testing.T) {
	f := newFixture(t, Options{SendLimit: 16 << 20})
	for range 20 {
		q := f.poll("EIO=4")
		s := <-f.sessions
		const n = 2000
		go func() {
			for i := range n {
				s.c.Reply(nil, []byte{byte(i >> 8), byte(i)})
			}
		}()
		next := 0
		take := func(packet string) {
			if packet == "6" {
				return
			}
			if len(packet) != 3 || int(packet[1])<<8|int(packet[2]) != next {
				t.Fatalf("packet %q, want number %d", packet, next)
			}
			next++
		}
		c := f.mustDial("EIO=4" + q[strings.Index(q, "&sid="):])
		c.send("2probe")
		c.expect("3probe")
		_, body := f.do(q)
		for _, packet := range splitPackets(body) {
			take(packet)
		}
		c.send("5")
		for next < n {
			_, msg, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			take(string(msg))
		}
		c.Close()
	}
}

// splitPackets splits a payload of three-byte packets, which may hold the
// separator themselves.
func splitPackets(body string) (packets []string) {
	for len(body) > 0 {
		n := min(3, len(body))
		packets = append(packets, body[:n])
		body = strings.TrimPrefix(body[n:], "\x1e")
	}
	return packets
}

func TestSlowPollingClient(t *testing.T) {
	f := newFixture(t, Options{SendLimit: 10_000})
	q := f.poll("EIO=4")
	s := <-f.sessions
	sent := 0
	for s.c.Reply(nil, make([]byte, 1000)) == nil {
		sent++
	}
	if sent != 9 {
		t.Errorf("%d messages were accepted", sent)
	}
	if r := <-s.closed; r != ReasonSlow {
		t.Errorf("closed with %q", r)
	}
	f.expect(200, "1", q) // what was kept is gone; the client learns that it is over
	f.expect(400, "", q)
	// One message is sent whatever its size, and does not count.
	q = f.poll("EIO=4")
	c := (<-f.sessions).c
	for _, size := range []int{5000, 20_000, 4000} {
		if err := c.Reply(nil, make([]byte, size)); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	f.expect(200, "", q)
	for _, size := range []int{20_000, 5000} {
		if err := c.Reply(nil, make([]byte, size)); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if err := c.Reply(nil, make([]byte, 50_000)); err != nil {
		t.Error(err)
	}
	if c.Reply(nil, make([]byte, 20_000)) == nil {
		t.Error("more than eight times the limit was kept")
	}
}

func TestOriginAndCORS(t *testing.T) {
	f := newFixture(t, Options{Origin: func(origin string, _ *http.Request) bool { return origin == "https://good.example" }})
	for _, tt := range []struct {
		method, origin string
		status         int
		allow          string
	}{
		{"GET", "https://good.example", 200, "https://good.example"},
		{"OPTIONS", "https://good.example", 204, "https://good.example"},
		{"GET", "https://evil.example", 403, ""},
		{"OPTIONS", "https://evil.example", 403, ""},
		{"GET", "null", 403, ""},
	} {
		req, _ := http.NewRequest(tt.method, f.url+"?EIO=4&transport=polling", nil)
		req.Header.Set("Origin", tt.origin)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); res.StatusCode != tt.status || got != tt.allow {
			t.Errorf("%s from %s: %s, allow %q", tt.method, tt.origin, res.Status, got)
		}
		c, _, err := websocket.Dial(t.Context(), f.url+"?EIO=4&transport=websocket", http.Header{"Origin": {tt.origin}})
		if (err == nil) != (tt.allow != "") {
			t.Errorf("WebSocket from %s: %v", tt.origin, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

func TestAllowCookieAndHeaders(t *testing.T) {
	f := newFixture(t, Options{
		Cookie: &http.Cookie{Name: "io", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode},
		Allow: func(r *http.Request) error {
			if r.URL.Query().Has("no") {
				return errors.New("not today")
			}
			return nil
		},
		InitialHeaders: func(h http.Header, _ *http.Request) { h.Set("X-Initial", "1") },
		Headers:        func(h http.Header, _ *http.Request) { h.Set("X-Every", "1") },
	})
	f.expect(403, "{\"code\":4,\"message\":\"not today\"}\n", "EIO=4&transport=polling&no=1")
	res := f.request("EIO=4&transport=polling", "")
	s := <-f.sessions
	if got := res.Header.Get("Set-Cookie"); got != "io="+s.c.ID()+"; Path=/; HttpOnly; SameSite=Lax" {
		t.Errorf("cookie %q", got)
	}
	if res.Header.Get("X-Initial") != "1" || res.Header.Get("X-Every") != "1" {
		t.Errorf("headers %v", res.Header)
	}
	res = f.request("EIO=4&transport=polling&sid="+s.c.ID(), "", "4x")
	if res.Header.Get("X-Initial") != "" || res.Header.Get("X-Every") != "1" {
		t.Errorf("headers of a POST %v", res.Header)
	}
	c, res, err := websocket.Dial(t.Context(), f.url+"?EIO=4&transport=websocket", nil)
	if err == nil {
		defer c.Close()
	}
	if err != nil || res.Header.Get("X-Initial") != "1" || res.Header.Get("Set-Cookie") == "" {
		t.Errorf("WebSocket: %v %v", res, err)
	}
}

func TestShutdown(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	polling := <-f.sessions
	got := make(chan string)
	go func() {
		_, body := f.do(q)
		got <- body
	}()
	eventually.True(t, polling.c.pollWaiting)
	c := f.mustDial("EIO=4")
	onWS := <-f.sessions
	closed := make(chan *websocket.CloseError)
	go func() { closed <- c.expectClose() }()
	if err := f.srv.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := <-closed; e == nil || e.Code != websocket.StatusGoingAway {
		t.Errorf("WebSocket closed with %v", e)
	}
	if body := <-got; body != "1" {
		t.Errorf("poll got %q", body)
	}
	for _, s := range []*echoSession{polling, onWS} {
		if r := <-s.closed; r != ReasonShutdown {
			t.Errorf("closed with %q", r)
		}
	}
	f.expect(503, "", "EIO=4&transport=polling")
	f.expect(503, "", "EIO=4&transport=websocket")
}

// A server that refuses goes on serving those it has.
func TestRefuse(t *testing.T) {
	f := newFixture(t, Options{})
	c := f.mustDial("EIO=4")
	c.ReadMessage() // the open packet
	f.srv.Refuse()
	f.expect(503, "", "EIO=4&transport=polling")
	f.expect(503, "", "EIO=4&transport=websocket")
	c.send("4hello")
	c.expect("4hello")
}

func ptr[T any](v T) *T { return &v }
