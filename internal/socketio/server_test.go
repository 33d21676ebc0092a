package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/namespaces"
)

// handlerFunc is a namespace's handler.
type handlerFunc func(s namespaces.Session, event string, args []json.RawMessage, wantsAck bool) string

func (f handlerFunc) Dispatch(_ context.Context, s namespaces.Session, event string, args []json.RawMessage, wantsAck bool) []byte {
	return []byte(f(s, event, args, wantsAck))
}

// echo acknowledges with the first argument.
func echo(_ namespaces.Session, _ string, args []json.RawMessage, _ bool) string {
	if len(args) == 0 {
		return "null"
	}
	return string(args[0])
}

type fixture struct {
	t   *testing.T
	srv *Server
	url string
	log *syncBuffer
}

// syncBuffer is a log that tests may read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// newFixture serves "/" and "/admin"; the token "bad" is refused, and only
// "admin" may enter "/admin".
func newFixture(t *testing.T, opts Options, root namespaces.Namespace, h handlerFunc) *fixture {
	t.Helper()
	f := &fixture{t: t, log: &syncBuffer{}}
	root.Name = "/"
	opts.Namespaces = []Namespace{{root, Routed(h)}, {namespaces.Namespace{Name: "/admin", Admit: func(id *auth.Identity) error {
		if id.User != "admin" {
			return events.Errorf(events.CodePermissionDenied, "administrators only")
		}
		return nil
	}}, Routed(handlerFunc(echo))}}
	opts.Logger = slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts.Outbound = func(string, string, []byte) error { return nil }
	opts.Authenticate = func(_ context.Context, c auth.Credential) (*auth.Identity, error) {
		name := tokenOf(c)
		if name == "bad" {
			return nil, events.Errorf(events.CodeTokenInvalid, "bad token")
		}
		return &auth.Identity{User: name}, nil
	}
	opts.Engine.AllowEIO3 = true
	f.srv = New(opts)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.srv.Run(ctx) })
	hs := httptest.NewServer(f.srv)
	f.url = hs.URL + "/socket.io/"
	t.Cleanup(func() {
		closing, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		if err := f.srv.Close(closing); err != nil {
			t.Errorf("closing: %v", err)
		}
		hs.Close()
		cancel()
		running.Wait()
	})
	return f
}

// tokenOf reads the secret back: the fixture has no keys.
func tokenOf(c auth.Credential) string {
	s := fmt.Sprintf("%#v", c)
	_, s, _ = strings.Cut(s, `value:"`)
	s, _, _ = strings.Cut(s, `"`)
	return s
}

type client struct {
	t *testing.T
	*websocket.Client
}

func (f *fixture) dial(query string) *client {
	f.t.Helper()
	c, _, err := websocket.Dial(f.t.Context(), f.url+"?transport=websocket&"+query, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	cl := &client{f.t, c}
	cl.read() // the open packet
	return cl
}

// enter dials and enters "/".
func (f *fixture) enter() *client {
	f.t.Helper()
	c := f.dial("EIO=4")
	c.send("40")
	if got := c.read(); !strings.HasPrefix(got, `40{"sid":"`) {
		f.t.Fatalf("CONNECT was answered with %q", got)
	}
	return c
}

func (c *client) send(packets ...string) {
	c.t.Helper()
	if _, err := c.Write(encodeFrames(packets)); err != nil {
		c.t.Fatal(err)
	}
}

// encodeFrames makes WebSocket frames of packets; "binary:" begins those that
// are attachments.
func encodeFrames(packets []string) (b []byte) {
	for _, p := range packets {
		op := websocket.OpText
		if strings.HasPrefix(p, "binary:") {
			op, p = websocket.OpBinary, p[len("binary:"):]
		}
		b = websocket.AppendClientFrame(b, op, []byte(p))
	}
	return b
}

// read returns the next packet that is no ping.
func (c *client) read() string {
	c.t.Helper()
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			c.t.Fatal(err)
		}
		if string(b) != "2" {
			return string(b)
		}
	}
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got := c.read(); got != want {
		c.t.Fatalf("got %q, want %q", got, want)
	}
}

// expectClose reads until the server closes with a code.
func (c *client) expectClose(code websocket.Status) {
	c.t.Helper()
	for {
		_, _, err := c.ReadMessage()
		var e *websocket.CloseError
		if errors.As(err, &e) && e.Code == code {
			return
		}
		if err != nil {
			c.t.Fatalf("closed with %v, want code %d", err, code)
		}
	}
}

func TestConnect(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.dial("EIO=4")
	c.send(`40/admin,{"token":"admin"}`)
	if got := c.read(); !strings.HasPrefix(got, `40/admin,{"sid":"`) {
		t.Errorf("got %s", got)
	}
	c.send(`40/random,`)
	c.expect(`44/random,{"message":"Invalid namespace"}`)
	c.send(`40/admin?x,`)
	c.expect(`44/admin?x,{"message":"Invalid namespace"}`)
	c.send(`40{"token":"bad"}`)
	c.expect(`44{"data":{"code":"USER_AUTH_TOKEN_INVALID","message":"bad token"},"message":"bad token"}`)
	c.send(`40{"token":"good"}`, `420["x",7]`)
	if got := c.read(); !strings.HasPrefix(got, `40{"sid":"`) {
		t.Errorf("got %s", got)
	}
	c.expect("430[7]")
	c2 := f.dial("EIO=4&token=ada")
	c2.send("40/admin,")
	c2.expect(`44/admin,{"data":{"code":"PERMISSION_DENIED","message":"administrators only"},"message":"administrators only"}`)
	for _, want := range []string{"code=USER_AUTH_TOKEN_INVALID", "code=PERMISSION_DENIED", "user=ada"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
}

func TestProtocol3(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.dial("EIO=3&token=ada")
	c.expect("40")
	c.send(`420["x",1]`)
	c.expect("430[1]")
	c.send("40/admin?token=admin,")
	if got := c.read(); got != "40/admin," {
		t.Errorf("got %s", got)
	}
	c.send(`42/admin,1["x",2]`)
	c.expect("43/admin,1[2]")
	c.send("40/admin2?token=admin")
	if got := c.read(); !strings.HasPrefix(got, "44/admin2,") {
		t.Errorf("got %s", got)
	}
	bad := f.dial("EIO=3&token=bad")
	if got := bad.read(); got != `44{"code":"USER_AUTH_TOKEN_INVALID","message":"bad token"}` {
		t.Errorf("got %s", got)
	}
}

// D1, D17, D20: what is malformed ends that connection only.
func TestMalformedFramesEndTheConnection(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	bystander := f.enter()
	for _, frames := range [][]string{
		{"42"},
		{"421"},
		{"450-"},
		{"451-", "binary:x"},
		{"431"},
		{"460-1"},
		{"459999999999-"},
		{"4511-[\"x\"]"},
		{`42["x"]garbage`},
		{`42{"x":1}`},
		{`42["x",]`},
		{`42[1]`},
		{`42abc["x"]`},
		{`42["connect"]`},
		{"4abc"},
		{"4"},
		{"47"},
		{`44{}`},
		{`41{}`},
		{"binary:x"},
		{`451-["x",{"_placeholder":true,"num":0}]`, `42["y"]`},
		{`451-["x",{"_placeholder":true,"num":1}]`, "binary:x"},
		{`451-["x",{"_placeholder":true,"num":-1}]`, "binary:x"},
		{`452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`},
		{`452-["x",{"_placeholder":true,"num":0}]`},
		{`451-/admin,["x",{"_placeholder":true,"num":0}]`},
		{`40/` + strings.Repeat("x", 200)},
		{`40/admin,{"token":"` + strings.Repeat("x", 70_000) + `"}`},
		{`42/admin,["x"]`},
		{`43/admin,1[]`},
		{`41/admin`},
		{`40`},
		{`40/admin,[]`},
		{`40/admin,{"a"}`},
		{`431{}`},
	} {
		c := f.enter()
		c.send(frames...)
		c.expectClose(websocket.StatusProtocolError)
	}
	bystander.send(`427["x","alive"]`)
	bystander.expect(`437["alive"]`)
	if n := strings.Count(f.log.String(), "connection refused"); n < 25 {
		t.Errorf("only %d refusals were logged", n)
	}
}

func TestBinary(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.enter()
	c.send(`452-1["x",{"a":{"_placeholder":true,"num":1},"b":[{"_placeholder":true,"num":0}]}]`, "binary:\x01\x02", "binary:\x03")
	c.expect(`431[{"a":"Aw==","b":["AQI="]}]`)
	c.send(`450-2["x",5]`)
	c.expect(`432[5]`)
}

// D3: events are handled in the order in which they were sent, also when some
// are slow and others come in other turns of the reader.
func TestEventsKeepTheirOrder(t *testing.T) {
	const n = 3000
	var mu sync.Mutex
	var got []string
	f := newFixture(t, Options{QueueLen: 8}, namespaces.Namespace{}, func(s namespaces.Session, _ string, args []json.RawMessage, _ bool) string {
		mu.Lock()
		got = append(got, string(args[0]))
		slow := len(got)%500 == 0 && len(got) < n
		mu.Unlock()
		if slow && !soon(s.(*Session).waiting) { // the engine reads on meanwhile
			t.Error("nothing was taken in behind a slow event")
		}
		return string(args[0])
	})
	c := f.enter()
	go func() {
		for i := 0; i < n; i += 10 {
			var batch []string
			for j := range 10 {
				batch = append(batch, fmt.Sprintf(`42%d["x",%d]`, i+j, i+j))
			}
			c.send(batch...)
		}
	}()
	for i := range n {
		c.expect(fmt.Sprintf("43%d[%d]", i, i))
	}
	for i, s := range got {
		if s != strconv.Itoa(i) {
			t.Fatalf("event %d was number %s", i, s)
		}
	}
}

// waiting reports whether events wait behind the one that is being handled.
func (s *Session) waiting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0
}

// soon is until for handlers, which cannot end the test.
func soon(cond func() bool) bool {
	return eventually.Within(eventually.Patience, time.Millisecond, cond)
}

// D6, D7: events sent before the server has answered CONNECT are handled,
// after what the namespace does for a new session.
func TestEarlyEventsWait(t *testing.T) {
	opened := make(chan struct{})
	f := newFixture(t, Options{}, namespaces.Namespace{Opened: func(_ context.Context, s namespaces.Session) {
		s.Emit(events.AIChatRoomID{ChatRoomID: "first"})
		<-opened
	}}, echo)
	c := f.dial("EIO=4")
	packets := []string{"40"}
	for i := range 400 { // more than the queue holds
		packets = append(packets, fmt.Sprintf(`42%d["x",%d]`, i, i))
	}
	packets = append(packets, `40/admin,{"token":"admin"}`, `42/admin,0["x","admin"]`)
	sent := make(chan struct{})
	go func() { // the server stops reading when its queue is full
		defer close(sent)
		c.Write(encodeFrames(packets))
	}()
	defer func() { <-sent }()
	c.read()
	c.expect(`42["ai_chat_room_id",{"chatRoomID":"first"}]`)
	close(opened)
	// The namespaces are independent of each other; each keeps its order.
	next, admin := 0, 0
	for next < 400 || admin < 2 {
		switch got := c.read(); {
		case strings.HasPrefix(got, `40/admin,{"sid"`) && admin == 0, got == `43/admin,0["admin"]` && admin == 1:
			admin++
		case got == fmt.Sprintf("43%d[%d]", next, next):
			next++
		default:
			t.Fatalf("got %q after %d replies", got, next)
		}
	}
}

// A namespace can be left and entered again as fast as a client can say it.
func TestRejoin(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			c := f.enter()
			for i := range 300 {
				c.send("41", "40", fmt.Sprintf(`42%d["x",%d]`, i, i))
				if got := c.read(); !strings.HasPrefix(got, `40{"sid"`) {
					t.Errorf("got %s", got)
					return
				}
				c.expect(fmt.Sprintf("43%d[%d]", i, i))
			}
		})
	}
	all.Wait()
	f.until(func() bool { return f.srv.Stats().Sessions == 6 })
}

func (f *fixture) until(cond func() bool) {
	f.t.Helper()
	eventually.True(f.t, cond, func() string {
		return fmt.Sprintf("%+v, %d sockets, %d goroutines", f.srv.Stats(), f.srv.lib.Sockets().Sockets().Len(), runtime.NumGoroutine())
	})
}

// D8, D9: clients that vanish right after CONNECT leave nothing behind.
func TestAbortsLeaveNothing(t *testing.T) {
	opened, closed := int64(0), int64(0)
	var mu sync.Mutex
	f := newFixture(t, Options{}, namespaces.Namespace{
		Opened: func(_ context.Context, s namespaces.Session) { mu.Lock(); opened++; mu.Unlock(); s.Join("room") },
		Closed: func(namespaces.Session) { mu.Lock(); closed++; mu.Unlock() },
	}, echo)
	f.enter().Close()
	f.until(func() bool { return f.srv.Stats().Connections == 0 })
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 500 {
				c, _, err := websocket.Dial(t.Context(), f.url+"?transport=websocket&EIO=4", nil)
				if err != nil {
					t.Error(err)
					return
				}
				c.WriteMessage(websocket.OpText, []byte("40"))
				if i%3 == 0 {
					c.ReadMessage()
				}
				if i%3 == 1 {
					c.ReadMessage()
					c.ReadMessage()
				}
				c.Close()
			}
		})
	}
	all.Wait()
	f.until(func() bool {
		s := f.srv.Stats()
		return s.Connections == 0 && s.Sessions == 0 && s.Rooms == 0 && f.srv.lib.Sockets().Sockets().Len() == 0
	})
	f.until(func() bool { return runtime.NumGoroutine() <= before+2 })
	mu.Lock()
	defer mu.Unlock()
	if opened != closed {
		t.Errorf("%d sessions were opened, %d closed", opened, closed)
	}
}

// D2: a burst of publications reaches every member, all of them and in order.
func TestPublishBurst(t *testing.T) {
	f := newFixture(t, Options{Engine: engineio.Options{SendLimit: 16 << 20}}, namespaces.Namespace{}, func(s namespaces.Session, _ string, _ []json.RawMessage, _ bool) string {
		s.Join("room")
		return "1"
	})
	const n, members = 1000, 10
	var all sync.WaitGroup
	var ready sync.WaitGroup
	ready.Add(members)
	for range members {
		all.Go(func() {
			c := f.enter()
			c.send(`420["join"]`)
			c.expect("430[1]")
			ready.Done()
			for i := range n {
				c.expect(fmt.Sprintf(`42["ai_chat_bot_message",{"text":"%d"}]`, i))
			}
		})
	}
	ready.Wait()
	for i := range n {
		if err := f.srv.Publish("/", "room", cluster.Position{}, events.AIChatBotMessage{Text: strconv.Itoa(i)}); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}

func TestRoomsAndBroadcast(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, func(s namespaces.Session, event string, args []json.RawMessage, _ bool) string {
		var room string
		json.Unmarshal(args[0], &room)
		switch event {
		case "join":
			s.Join(events.Room(room))
		case "leave":
			s.Leave(events.Room(room))
		}
		return strconv.Quote(s.ID())
	})
	a, b := f.enter(), f.enter()
	a.send(`420["join","x"]`, `421["join","x"]`)
	a.read()
	a.read()
	b.send(`420["join","x"]`, `421["join","y"]`)
	b.read()
	id := strings.TrimSuffix(strings.TrimPrefix(b.read(), `431["`), `"]`)
	say := func(room events.Room, text string) {
		f.srv.Publish("/", room, cluster.Position{}, events.AIChatBotMessage{Text: text})
	}
	say("x", "both")
	say("y", "b")
	a.expect(`42["ai_chat_bot_message",{"text":"both"}]`)
	b.expect(`42["ai_chat_bot_message",{"text":"both"}]`)
	b.expect(`42["ai_chat_bot_message",{"text":"b"}]`)
	b.send(`422["leave","x"]`)
	b.read()
	say("x", "a")
	a.expect(`42["ai_chat_bot_message",{"text":"a"}]`)
	emit := func(o Operator, event, arg string) { o.Emit(event, []json.RawMessage{json.RawMessage(arg)}, nil) }
	emit(f.srv.In("/", "x", "y"), "hello", "1")
	emit(f.srv.In("/").Except("x"), "others", "2")
	emit(f.srv.In("/", "y").Volatile(), "y", "3")
	emit(f.srv.In("/", id), "id", "4")
	a.expect(`42["hello",1]`)
	b.expect(`42["hello",1]`)
	b.expect(`42["others",2]`)
	b.expect(`42["y",3]`)
	b.expect(`42["id",4]`)
	if rooms := f.srv.lib.Sockets().Adapter().SocketRooms("nobody"); rooms != nil {
		t.Errorf("rooms %v", rooms)
	}
	if stats := f.srv.Stats(); stats.Connections != 2 || stats.Sessions != 2 || stats.Rooms != 2 || stats.Published != 7 || stats.Received != 5 {
		t.Errorf("%+v", stats)
	}
}

// A session that follows a room gets what there was and what comes, once.
func TestFollow(t *testing.T) {
	var mu sync.Mutex
	log := 0
	var f *fixture
	publish := func() {
		mu.Lock()
		defer mu.Unlock()
		log++
		f.srv.Publish("/", "run", cluster.Position{Offset: uint64(log)}, events.AIChatBotMessage{Text: strconv.Itoa(log)})
	}
	f = newFixture(t, Options{}, namespaces.Namespace{}, func(s namespaces.Session, _ string, _ []json.RawMessage, _ bool) string {
		err := s.Follow("run", 0, func(after uint64) (uint64, error) {
			mu.Lock()
			upTo := log
			mu.Unlock()
			for i := int(after) + 1; i <= upTo; i++ {
				s.Emit(events.AIChatBotMessage{Text: strconv.Itoa(i)})
			}
			return uint64(upTo), nil
		})
		return strconv.Quote(fmt.Sprint(err))
	})
	const n = 500
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			c := f.enter()
			c.send(`42["follow"]`)
			for i := range n {
				c.expect(fmt.Sprintf(`42["ai_chat_bot_message",{"text":"%d"}]`, i+1))
			}
		})
	}
	for range n {
		publish()
	}
	all.Wait()
}

func TestPolling(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	do := func(query, body string) string {
		var res *http.Response
		var err error
		if body == "" {
			res, err = http.Get(f.url + "?EIO=4&transport=polling" + query)
		} else {
			res, err = http.Post(f.url+"?EIO=4&transport=polling"+query, "text/plain", strings.NewReader(body))
		}
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	open := do("", "")
	var h struct{ SID string }
	json.Unmarshal([]byte(open[1:]), &h)
	q := "&sid=" + h.SID
	packets := []string{"40"}
	for i := range 1000 {
		packets = append(packets, fmt.Sprintf(`42%d["x",%d]`, i, i))
	}
	if got := do(q, strings.Join(packets, "\x1e")); got != "ok" {
		t.Fatal(got)
	}
	next := -1
	for next < 1000 {
		for _, p := range strings.Split(do(q, ""), "\x1e") {
			if next < 0 && strings.HasPrefix(p, `40{"sid"`) || p == fmt.Sprintf("43%d[%d]", next, next) {
				next++
				continue
			}
			t.Fatalf("got %q after %d replies", p, next)
		}
	}
}

// While a handler is slow the connection stays alive, and its other
// namespaces work.
func TestSlowHandler(t *testing.T) {
	release := make(chan struct{})
	f := newFixture(t, Options{Engine: engineio.Options{PingInterval: 100 * time.Millisecond, PingTimeout: 100 * time.Millisecond}, QueueLen: 2},
		namespaces.Namespace{}, func(_ namespaces.Session, event string, _ []json.RawMessage, _ bool) string {
			if event == "slow" {
				<-release
			}
			return "1"
		})
	c := f.enter()
	c.send(`40/admin,{"token":"admin"}`)
	c.read()
	c.send(`421["slow"]`, `42/admin,2["x",2]`)
	c.expect("43/admin,2[2]")
	// Fill the queue: now nothing is read, not even pongs.
	c.send(`423["x"]`, `424["x"]`, `425["x"]`, `42/admin,6["x",6]`)
	var got []string
	for pings := 0; pings < 4; {
		_, b, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if string(b) == "2" {
			pings++
		} else {
			got = append(got, string(b))
		}
	}
	close(release)
	for len(got) < 5 {
		got = append(got, c.read())
	}
	want := []string{"431[1]", "433[1]", "434[1]", "435[1]"}
	for _, got := range got {
		if got == "43/admin,6[6]" {
			continue
		}
		if got != want[0] {
			t.Fatalf("got %q, want %q", got, want[0])
		}
		want = want[1:]
	}
}

// What a connection says after its end begins nothing that nobody would end:
// the server would not stop.
func TestConnectAfterTheEnd(t *testing.T) {
	f := newFixture(t, Options{QueueLen: 1}, namespaces.Namespace{}, echo)
	for _, frames := range [][]string{
		{"1", `40/admin,{"token":"admin"}`, `42/admin,["x"]`, `42/admin,["x"]`},
		{"4garbage", `40/admin,{"token":"admin"}`, `42/admin,["x"]`, `42/admin,["x"]`},
	} {
		c := f.enter()
		c.send(frames...)
		c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := f.srv.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Who asks for namespaces without end is not read, and shown out in the end.
func TestEndlessConnects(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.enter()
	for i := range 1000 {
		c.send(fmt.Sprintf("40/nowhere%d", i))
	}
	refused := 0
	for {
		_, _, err := c.ReadMessage()
		if err == nil {
			refused++
			continue
		}
		var e *websocket.CloseError
		if !errors.As(err, &e) || e.Code != websocket.StatusProtocolError {
			t.Errorf("closed with %v", err)
		}
		break
	}
	if refused != maxRefusals {
		t.Errorf("refused %d times", refused)
	}
}

// The server has not closed before its handlers have returned.
func TestCloseWaitsForHandlers(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	var returned atomic.Bool
	f := newFixture(t, Options{}, namespaces.Namespace{}, func(namespaces.Session, string, []json.RawMessage, bool) string {
		close(begun)
		<-release
		returned.Store(true)
		return "1"
	})
	c := f.enter()
	c.send(`42["x"]`)
	<-begun
	c.send("41") // another goroutine reads on by now, or will
	closed := make(chan bool)
	go func() {
		f.srv.Close(context.Background())
		closed <- returned.Load()
	}()
	c.Close()
	for f.srv.Stats().Connections > 0 {
		runtime.Gosched()
	}
	close(release)
	if !<-closed {
		t.Error("closed while a handler was running")
	}
}

// Attachments count for the limit of a queue.
func TestAttachmentsFillTheQueue(t *testing.T) {
	begun, release := make(chan struct{}, 8), make(chan struct{})
	f := newFixture(t, Options{QueueBytes: 3000}, namespaces.Namespace{}, func(namespaces.Session, string, []json.RawMessage, bool) string {
		begun <- struct{}{}
		<-release
		return "1"
	})
	c := f.enter()
	s := f.srv.spaces["/"].sessions.all()[0]
	for range 5 {
		c.send(`451-["x",{"_placeholder":true,"num":0}]`, "binary:"+strings.Repeat("x", 1000))
	}
	<-begun
	for {
		s.mu.Lock()
		queued, holding := len(s.queue), s.holding
		s.mu.Unlock()
		if holding {
			if queued < 2 || queued > 3 { // whether the first had begun or not
				t.Errorf("%d events are queued", queued)
			}
			break
		}
		runtime.Gosched()
	}
	close(release)
	for range 4 {
		<-begun
	}
}

// A handler that takes long gets a goroutine of its own from then on.
func TestPace(t *testing.T) {
	known := paces(Namespace{Namespace: namespaces.Namespace{Routes: []namespaces.Route{{Event: "slow"}}}})
	slow, unknown := known["slow"], known["unknown"]
	if !slow.quick() || !unknown.quick() {
		t.Error("not quick at first")
	}
	slow.took(2 * time.Millisecond)
	unknown.took(time.Hour)
	if slow.quick() || !unknown.quick() {
		t.Error("quick after a slow one")
	}
	for range 20 {
		slow.took(time.Microsecond)
	}
	if !slow.quick() {
		t.Error("not quick again")
	}
}

func TestEventsBeforeAnEndAreHandled(t *testing.T) {
	handled, closed := make(chan string, 10), make(chan struct{})
	f := newFixture(t, Options{}, namespaces.Namespace{Closed: func(namespaces.Session) { close(closed) }}, func(s namespaces.Session, event string, _ []json.RawMessage, _ bool) string {
		if event == "first" && !soon(func() bool { return s.(*Session).is(stateEnded) }) {
			t.Error("the session goes on without its client")
		}
		s.Join("late")
		handled <- event
		return "1"
	})
	c := f.enter()
	c.send(`42["first"]`, `42["second"]`)
	c.Close()
	<-closed
	if a, b := <-handled, <-handled; a != "first" || b != "second" {
		t.Errorf("%s %s", a, b)
	}
	if n := f.srv.Stats().Rooms; n != 0 {
		t.Errorf("%d rooms are left", n)
	}
}

func TestConnectTimeout(t *testing.T) {
	f := newFixture(t, Options{ConnectTimeout: 20 * time.Millisecond}, namespaces.Namespace{}, echo)
	c := f.dial("EIO=4")
	c.expectClose(websocket.StatusNormal)
}
