package rawws_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// What the dialects have in common, and each has in its own words. Errors are in
// brief, as shape has them.
var words = []struct {
	name, path string
	ping, pong string // and the fields of its answer; an answer to nothing if there is no ping
	error      string // the fields of an error
	number     bool   // timestamps are numbers, else texts
	inError    bool   // which are in errors too

	unheard, tooLarge, tooMany string
}{
	{
		"genesis", "/ws/genesis", `{"type":"ping","timestamp":17}`, "payload timestamp type", "payload timestamp type", true, true,
		"genesis error UNKNOWN_TYPE", "genesis error PAYLOAD_TOO_LARGE", "genesis error RATE_LIMITED",
	},
	{
		"action", "/ws/action", `{"action":"Ping"}`, "message route status", "message route status", false, false,
		"action error root Missing required fields in the JSON message", "action error root a message may have 65536 bytes", "action error root too many messages: wait a moment",
	},
	{
		"bots", "/ws/bots", `{"type":"ping"}`, "timestamp type", "code message type", false, false,
		"bots error INVALID_FORMAT", "bots error MESSAGE_TOO_LARGE", "bots error RATE_LIMITED",
	},
	{
		"service", "/api/ws", `{"type":"ping","data":{}}`, "data timestamp type", "data timestamp type", false, true,
		"service error invalid_request", "service error invalid_request", "service error rate_limited",
	},
	{
		"meet", "/ws/meet", `{"type":"ping"}`, "timestamp type", "code message type", false, false,
		"bots error INVALID_FORMAT", "bots error MESSAGE_TOO_LARGE", "bots error RATE_LIMITED",
	},
	{
		"meet", "/ws/meet/room", `{"type":"ping"}`, "timestamp type", "code message type", false, false,
		"bots error INVALID_FORMAT", "bots error MESSAGE_TOO_LARGE", "bots error RATE_LIMITED",
	},
}

func fieldsOf(m map[string]any) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), " ")
}

// timed checks the timestamp of a message.
func timed(m map[string]any, number bool) bool {
	if number {
		_, ok := m["timestamp"].(float64)
		return ok
	}
	text, _ := m["timestamp"].(string)
	at, err := time.Parse("2006-01-02T15:04:05Z", text) // whole seconds
	return err == nil && time.Since(at).Abs() < time.Minute
}

func TestEachDialectInItsWords(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	token := s.Token("ann", "default", auth.Member)
	for _, w := range words {
		c := dial(t, s, w.path+"?token="+token)
		for _, op := range []websocket.Opcode{websocket.OpText, websocket.OpBinary} {
			c.ws.WriteMessage(op, []byte(w.ping))
			m := c.next()
			if fieldsOf(m) != w.pong || w.name != "action" && (m["type"] != "pong" || !timed(m, w.number)) {
				t.Errorf("%s, %s: %v", w.path, w.ping, m)
			}
		}
		for _, wrong := range []string{unheard, `{"type":7}`, `{}`, `[]`, `no JSON`} {
			c.send(wrong)
			m := c.next()
			if wrong == unheard && shape(m) != w.unheard || fieldsOf(m) != w.error || w.inError && !timed(m, w.number) {
				t.Errorf("%s, %s: %v", w.path, wrong, m)
			}
		}
		// The connection has stayed open; what is binary and no text ends it.
		c.ws.WriteMessage(websocket.OpBinary, []byte("\xff"))
		c.ended(websocket.StatusUnsupportedData)
	}
	// A ping of genesis without a number gets that of the server.
	c := dial(t, s, "/ws/genesis?token="+token)
	if m := c.ask(`{"type":"ping"}`); time.Since(time.UnixMilli(int64(m["timestamp"].(float64)))).Abs() > time.Minute {
		t.Error(m)
	}
}

// The longest message is taken, and one that is longer is answered before the
// connection ends, as soon as that is known.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	token := s.Token("ann", "default", auth.Member)
	long := func(n int) string { return unheard + strings.Repeat(" ", n-len(unheard)) }
	for _, w := range words {
		path := w.path + "?token=" + token
		dial(t, s, path).shapes(long(64<<10), w.unheard)
		for _, frames := range [][][]byte{
			{maskedFrame(fin|text, long(64<<10+1))},
			{maskedFrame(fin|text, long(1<<20))[:14]}, // only its header
			{maskedFrame(text, long(60<<10)), maskedFrame(0, strings.Repeat(" ", 4<<10)), maskedFrame(fin, " ")},
		} {
			c := dialRaw(t, s, path)
			for _, frame := range frames {
				c.Write(frame)
			}
			if op, said := c.read(); op != text || shapeOf(said) != w.tooLarge {
				t.Errorf("%s: opcode %d %s, want %s", w.path, op, said, w.tooLarge)
			}
			c.wantClose(websocket.StatusTooBig)
		}
	}
	// Nobody need have chosen: the default says so.
	c := dialRaw(t, s, "/ws")
	c.Write(maskedFrame(fin|text, long(64<<10+1)))
	if _, said := c.read(); shapeOf(said) != "bots error MESSAGE_TOO_LARGE" {
		t.Error(said)
	}
	c.wantClose(websocket.StatusTooBig)
}

// Frames beyond the rate are refused, each with a word, and nothing else happens.
func TestRate(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.Rate, c.Burst = 20, 3 })
	token := s.Token("ann", "default", auth.Member)
	for _, w := range words {
		c := dial(t, s, w.path+"?token="+token)
		const n = 30
		c.ws.Write([]byte(strings.Repeat(string(maskedFrame(fin|text, unheard)), n)))
		refused := 0
		for i := range n {
			switch got := shape(c.next()); {
			case got == w.tooMany && i >= 3:
				refused++
			case got != w.unheard:
				t.Fatalf("%s: %s", w.path, got)
			}
		}
		if refused == 0 {
			t.Errorf("%s: nothing of %d frames was refused", w.path, n)
		}
		eventually.True(t, func() bool { // the level has risen
			c.send(unheard)
			return shape(c.next()) == w.unheard
		})
	}
}

// Who is not who it says is told in the words of its dialect, and shown out; so
// is who should have said, at once or in time.
func TestCredentialsByDialect(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.AuthTimeout = 50 * time.Millisecond })
	undecided := dial(t, s, "/ws")
	for _, row := range []struct {
		path, frame string // the frame is sent first, if there is one
		want        string // a status of HTTP, or an error
		code        websocket.Status
	}{
		{"/ws/genesis?token=bad", "", "401", 0},
		{"/ws/genesis", "", "401", 0},
		{"/ws?dialect=genesis&token=bad", "", "genesis error UNAUTHORIZED", 4401},
		{"/ws?dialect=genesis", "", "genesis error UNAUTHORIZED", 4401},
		{"/ws?token=bad", `{"type":"execute_workflow","correlationId":"r"}`, "genesis error UNAUTHORIZED", 4401},
		{"/ws", `{"type":"execute_workflow"}`, "genesis error UNAUTHORIZED", 4401},
		{"/ws/bots?token=bad", "", "bots error AUTH_FAILED", 4401},
		{"/ws/bots", "", "bots error AUTH_FAILED", 4408},
		{"/ws?token=bad", `{"type":"message","session_id":"s","content":"c"}`, "bots error AUTH_FAILED", 4401},
		{"/ws", `{"type":"message","session_id":"s","content":"c"}`, "bots error AUTH_FAILED", 4408},
		{"/ws", `{"type":"auth","token":"bad"}`, "bots error AUTH_FAILED", 4401},
		{"/ws/service?token=bad", "", "service error unauthorized", 4401},
		{"/api/ws", "", "service error unauthorized", 4401},
		{"/ws?token=bad", `{"type":"chat_message","data":{}}`, "service error unauthorized", 4401},
		{"/ws", `{"type":"chat_message","data":{}}`, "service error unauthorized", 4401},
		{"/ws/meet?token=bad", "", "bots error AUTH_FAILED", 4401},
		{"/ws/meet/room", "", "bots error AUTH_FAILED", 4408},
	} {
		c, res := dialWith(t, s, row.path, http.Header{})
		if c == nil {
			if fmt.Sprint(res.StatusCode) != row.want {
				t.Errorf("%s: %s, want %s", row.path, res.Status, row.want)
			}
			continue
		}
		if row.frame != "" {
			c.send(row.frame)
		}
		if got := shape(c.next()); got != row.want {
			t.Errorf("%s, %s: %s, want %s", row.path, row.frame, got, row.want)
		}
		c.ended(row.code)
	}
	// Those whose clients wait for a person, or have not said anything, stay.
	for _, c := range []*client{undecided, dial(t, s, "/ws/action"), dial(t, s, "/ws/action?token=bad")} {
		c.shapes(`{"action":"Disconnect"}`, "action error Connection No token in request body")
	}
	// The token may come in time.
	c := dial(t, s, "/ws/bots")
	c.send(`{"type":"auth","token":"` + s.Token("ann", "default", auth.Member) + `"}`)
	c.shapes(`{"type":"typing_stop","session_id":"s"}`, "bots error SESSION_NOT_FOUND")
}

// Connections of an address are counted across the paths, as many as documented.
func TestConnectionsOfAnAddress(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Change: func(c *config.Config) { c.Server.TrustedProxies = []string{"127.0.0.1"} }})
	token := s.Token("ann", "default", auth.Member)
	from := func(address, path string) (*client, *http.Response) {
		return dialWith(t, s, path+"?token="+token, http.Header{"X-Forwarded-For": {address}})
	}
	paths := []string{"/ws", "/ws/genesis", "/ws/bots", "/ws/service", "/api/ws", "/ws/meet", "/ws/meet/room"}
	var first *client
	for i := range 100 {
		// What is refused does not count.
		dialWith(t, s, "/ws/genesis", http.Header{"X-Forwarded-For": {"203.0.113.9"}})
		dialWith(t, s, "/ws?dialect=x", http.Header{"X-Forwarded-For": {"203.0.113.9"}})
		c, res := from("203.0.113.9", paths[i%len(paths)])
		if c == nil {
			t.Fatalf("%d: %s", i, res.Status)
		}
		if first == nil {
			first = c
		}
	}
	for _, path := range paths {
		if c, res := from("1.1.1.1, 203.0.113.9", path); c != nil || res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
	if res, _ := s.Send("", "GET", "/socket.io/?EIO=4&transport=polling", http.Header{"X-Forwarded-For": {"203.0.113.9"}}, nil); res.StatusCode != 200 {
		t.Errorf("Socket.IO: %s", res.Status)
	}
	if c, res := from("203.0.113.10", "/ws"); c == nil {
		t.Errorf("another address: %s", res.Status)
	}
	first.ws.Close()
	eventually.True(t, func() bool {
		c, _ := from("203.0.113.9", "/ws")
		return c != nil
	})
	// Who is not a proxy of ours is itself, whatever it says.
	alone := every(t, func(c *config.WebSocket) { c.PerAddress = 1 })
	dial(t, alone, "/ws")
	if c, res := dialWith(t, alone, "/api/ws", http.Header{"X-Forwarded-For": {"203.0.113.9"}}); c != nil || res.StatusCode != 429 {
		t.Error(res.Status)
	}
}

// Everybody is asked whether they are there. Who does not answer is let go, and
// by setting also who only answers.
func TestIdle(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/ws", "/ws/action", "/ws/bots"} {
		for _, onlyData := range []bool{false, true} {
			t.Run(fmt.Sprint(path, " only data counts ", onlyData), func(t *testing.T) {
				t.Parallel()
				s := every(t, func(c *config.WebSocket) {
					c.Ping, c.Idle, c.IdleData = 60*time.Millisecond, 600*time.Millisecond, onlyData
				})
				query := ""
				if path == "/ws/bots" {
					query = "?token=" + s.Token("ann", "default", auth.Member)
				}
				idle(t, s, path+query, onlyData)
			})
		}
	}
}

func idle(t *testing.T, s *servertest.Server, path string, onlyData bool) {
	dead, alive := dialRaw(t, s, path), dial(t, s, path)
	answered := make(chan error, 1)
	go func() { // answers pings
		alive.ws.SetReadDeadline(time.Now().Add(eventually.Patience))
		_, _, err := alive.ws.ReadMessage()
		answered <- err
	}()
	pings := 0
	op, said := dead.read()
	for ; op == ping; op, said = dead.read() {
		pings++
	}
	if code := codeOf(op, said); code != websocket.StatusPolicyViolation || pings < 2 {
		t.Errorf("%d after %d pings", code, pings)
	}
	if !onlyData {
		alive.send(unheard)
	}
	err := <-answered
	if closed, _ := err.(*websocket.CloseError); onlyData != (closed != nil && closed.Code == websocket.StatusPolicyViolation) {
		t.Error(err)
	}
}

// Connections are counted by dialect, and told when the server stops.
func TestServerStops(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	token := s.Token("ann", "default", auth.Member)
	clients := []*client{dial(t, s, "/ws")}
	for _, w := range words {
		clients = append(clients, dial(t, s, w.path+"?token="+token))
	}
	for _, c := range clients {
		c.ask(unheard)
	}
	want := map[string]int{"undecided": 1, "genesis": 1, "action": 1, "bots": 1, "service": 1, "meet": 2}
	if got := s.App.Stats().WebSockets; !maps.Equal(got, want) {
		t.Errorf("connections: %v, want %v", got, want)
	}
	_, metrics := s.Send("", "GET", "/metrics", http.Header{}, nil)
	for dialect, n := range want {
		if line := fmt.Sprintf("roomcast_websocket_connections{dialect=%q} %d\n", dialect, n); !strings.Contains(string(metrics), line) {
			t.Errorf("missing: %s", line)
		}
	}
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop() }()
	for _, c := range clients {
		c.ended(websocket.StatusGoingAway)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
