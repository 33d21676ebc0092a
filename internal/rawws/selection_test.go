package rawws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// every has every dialect spoken.
func every(t *testing.T, change func(*config.WebSocket)) *servertest.Server {
	t.Helper()
	return servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.WebSocket.Action.APIKey = actionKey
		if change != nil {
			change(&c.WebSocket)
		}
	}})
}

// dialWith is dial for handshakes that say more. It returns what a refusal says.
func dialWith(t *testing.T, s *servertest.Server, path string, header http.Header) (*client, *http.Response) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), eventually.Patience)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+path, header)
	if err != nil {
		if res == nil {
			t.Fatal(err)
		}
		return nil, res
	}
	t.Cleanup(func() { ws.Close() })
	return &client{t: t, ws: ws}, res
}

// shape is a message in brief: the dialect that it is of, its type, and what an
// error is called.
func shape(m map[string]any) string {
	var words []any
	switch data, payload := m["data"], m["payload"]; {
	case m["route"] != nil:
		words = []any{"action", m["status"], m["route"], m["message"]}
	case payload != nil:
		words = []any{"genesis", m["type"], payload.(map[string]any)["code"]}
	case data != nil:
		words = []any{"service", m["type"], data.(map[string]any)["code"]}
	default:
		words = []any{"bots", m["type"], m["code"]}
	}
	text := fmt.Sprintln(words...)
	return strings.TrimSpace(strings.ReplaceAll(text, "<nil>", ""))
}

// The answers to a type that nobody knows tell the dialects apart.
const unheard = `{"type":"unheard"}`

var answersUnheard = map[string]string{
	"genesis": "genesis error UNKNOWN_TYPE",
	"action":  "action error root Missing required fields in the JSON message",
	"bots":    "bots error INVALID_FORMAT",
	"service": "service error invalid_request",
	"":        "action error root type: what was sent is of no dialect that is spoken here: choose from action, bots, genesis, service",
}

func (c *client) shapes(send, want string) {
	c.t.Helper()
	c.send(send)
	if got := shape(c.next()); got != want {
		c.t.Errorf("%s is answered with %s, want %s", send, got, want)
	}
}

func (c *client) speaks(dialect string) {
	c.t.Helper()
	c.shapes(unheard, answersUnheard[dialect])
}

// What the handshake says decides, in the order of the documentation.
func TestSelectionByHandshake(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.Default = "action" }) // who is undecided is told so in its shape
	token := s.Token("ann", "default", auth.Member)
	const undecided = ""
	for _, row := range []struct {
		name, path string
		header     http.Header // nil has no Authorization either: the token is in the query
		want       string
		protocol   string
	}{
		{"path", "/ws/genesis", nil, "genesis", ""},
		{"path", "/ws/action", nil, "action", ""},
		{"path", "/ws/bots", nil, "bots", ""},
		{"path", "/ws/bots/", nil, "bots", ""},
		{"path", "/ws/service", nil, "service", ""},
		{"path", "/api/ws", nil, "service", ""},
		{"path before the rest", "/ws/bots?dialect=genesis&org_id=default", http.Header{"Sec-WebSocket-Protocol": {"service.v1"}, "X-Agent-ID": {"a"}}, "bots", ""},
		{"path and what suits it", "/ws/bots", http.Header{"Sec-WebSocket-Protocol": {"genesis.v1, bots.v1"}}, "bots", "bots.v1"},
		{"path and a query of no dialect", "/ws/bots?dialect=nonsense", nil, "bots", ""},
		{"subprotocol", "/ws", http.Header{"Sec-WebSocket-Protocol": {"genesis.v1"}}, "genesis", "genesis.v1"},
		{"subprotocol", "/ws", http.Header{"Sec-WebSocket-Protocol": {"action.v1"}}, "action", "action.v1"},
		{"subprotocol", "/ws", http.Header{"Sec-WebSocket-Protocol": {"bots.v1"}}, "bots", "bots.v1"},
		{"subprotocol", "/ws/", http.Header{"Sec-WebSocket-Protocol": {"service.v1"}}, "service", "service.v1"},
		{"the first that is known", "/ws", http.Header{"Sec-WebSocket-Protocol": {"x, service.v1 , genesis.v1"}}, "service", "service.v1"},
		{"in several lines", "/ws", http.Header{"Sec-WebSocket-Protocol": {"x", "genesis.v1"}}, "genesis", "genesis.v1"},
		{"subprotocol before the query", "/ws?dialect=bots", http.Header{"Sec-WebSocket-Protocol": {"genesis.v1"}}, "genesis", "genesis.v1"},
		{"subprotocol before hints", "/ws?session_id=s", http.Header{"Sec-WebSocket-Protocol": {"genesis.v1"}}, "genesis", "genesis.v1"},
		{"subprotocols that nobody knows", "/ws", http.Header{"Sec-WebSocket-Protocol": {"x, y, genesis, genesis.v2"}}, undecided, ""},
		{"meetings have none", "/ws", http.Header{"Sec-WebSocket-Protocol": {"meet.v1"}}, undecided, ""},
		{"query", "/ws?dialect=genesis", nil, "genesis", ""},
		{"query", "/ws?dialect=action", nil, "action", ""},
		{"query", "/ws?dialect=bots", nil, "bots", ""},
		{"query", "/ws?dialect=service", nil, "service", ""},
		{"query and subprotocol of nobody", "/ws?dialect=bots", http.Header{"Sec-WebSocket-Protocol": {"x"}}, "bots", ""},
		{"query before hints", "/ws?dialect=service&session_id=s", http.Header{"X-Agent-ID": {"a"}}, "service", ""},
		{"hint", "/ws", http.Header{"X-Agent-ID": {"agent-7"}}, "genesis", ""},
		{"hint", "/ws", http.Header{"Authorization": {"Bearer " + token}}, "genesis", ""},
		{"hint", "/ws?org_id=default", nil, "service", ""},
		{"hint", "/ws?session_id=s", nil, "bots", ""},
		{"hint", "/ws?bot_name=b", nil, "bots", ""},
		{"hints in order", "/ws?session_id=s&org_id=default", http.Header{"X-Agent-ID": {"a"}}, "genesis", ""},
		{"hints in order", "/ws?session_id=s&org_id=default", nil, "service", ""},
		{"a token is none", "/ws", nil, undecided, ""},
	} {
		path := row.path
		if row.header.Get("Authorization") == "" {
			path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "token=" + token
		}
		header := http.Header{}
		for name, values := range row.header {
			header[http.CanonicalHeaderKey(name)] = values
		}
		c, res := dialWith(t, s, path, header)
		if c == nil {
			t.Errorf("%s, %s: %s", row.name, row.path, res.Status)
			continue
		}
		if got := res.Header.Get("Sec-WebSocket-Protocol"); got != row.protocol {
			t.Errorf("%s, %s %v: the subprotocol is %q, want %q", row.name, row.path, row.header, got, row.protocol)
		}
		c.send(unheard)
		if got := shape(c.next()); got != answersUnheard[row.want] {
			t.Errorf("%s, %s %v: %s, want %s", row.name, row.path, row.header, got, row.want)
		}
		c.ws.Close()
	}
	// A header that a proxy has added says nothing beside a token in the query.
	c, _ := dialWith(t, s, "/ws?token="+token, http.Header{"Authorization": {"Bearer " + token}})
	c.speaks(undecided)
	for _, path := range []string{"/ws/meet", "/ws/meet/", "/ws/meet/room"} {
		dial(t, s, path+"?token="+token).shapes(`{"type":"leave","room_id":"room"}`, "bots error NOT_IN_ROOM")
	}
}

func TestSelectionRefusals(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{}) // no API key: action is not spoken
	for path, want := range map[string]int{
		"/ws?dialect=nonsense": 400, "/ws?dialect=meet": 400, "/ws?dialect=": 400, "/ws?dialect=Bots": 400, "/ws?dialect=action": 400,
		"/ws/action": 404, "/ws/anything": 404, "/ws/bots/more": 404, "/api/ws/anything": 404,
	} {
		c, res := dialWith(t, s, path, http.Header{})
		if c != nil || res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
			continue
		}
		var answer struct {
			Error struct{ Code, Message string }
		}
		if raw, _ := io.ReadAll(res.Body); json.Unmarshal(raw, &answer) != nil || !strings.Contains(answer.Error.Message, "bots, genesis, service") {
			t.Errorf("%s: %s", path, raw)
		}
	}
	for header, value := range map[string]string{"Sec-Websocket-Protocol": "action.v1"} {
		c, res := dialWith(t, s, "/ws", http.Header{header: {value}})
		if got := res.Header.Get(header); got != "" {
			t.Errorf("%s is answered for a dialect that is not spoken", got)
		}
		c.speaks("bots") // the default
		c.shapes(`{"action":"Connection","checksum":"c"}`, "bots error INVALID_FORMAT")
	}
	// Socket.IO is not affected.
	if res, raw := s.Send("", "GET", "/socket.io/?EIO=4&transport=polling&dialect=nonsense", http.Header{}, nil); res.StatusCode != 200 {
		t.Errorf("%s %s", res.Status, raw)
	}
}

// The first frame decides where the handshake has not, and where that has only
// hinted at something.
func TestSelectionByFirstFrame(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	token := s.Token("ann", "default", auth.Member)
	for _, row := range []struct{ path, frame, want string }{
		{"/ws", `{"action":"Disconnect"}`, "action"},
		{"/ws", `{"action":"Unheard"}`, "action"},
		{"/ws", `{"type":"auth","token":"` + token + `"}`, "bots"},
		{"/ws", `{"type":"unsubscribe","session_id":"s"}`, "bots"},
		{"/ws", `{"type":"subscribe","payload":{"session_id":""}}`, "bots"},
		{"/ws", `{"type":"message"}`, "bots"},
		{"/ws", `{"type":"typing_start"}`, "bots"},
		{"/ws", `{"type":"execute_workflow"}`, "genesis"},
		{"/ws", `{"type":"subscribe","payload":{"channels":[]}}`, "genesis"},
		{"/ws", `{"type":"unheard","correlationId":"r"}`, "genesis"},
		{"/ws", `{"type":"unheard","timestamp":1}`, "genesis"},
		{"/ws", `{"type":"unheard","payload":{}}`, "genesis"},
		{"/ws", `{"type":"WELCOME","payload":{}}`, "genesis"},
		{"/ws", `{"type":"subscribe","data":{"channel":"conversation:c"}}`, "service"},
		{"/ws", `{"type":"chat_message","data":{}}`, "service"},
		{"/ws", `{"type":"unheard","action":"Disconnect"}`, "action"},
		{"/ws", `{"type":"unsubscribe","action":"Disconnect","session_id":"s"}`, "bots"},
		// A hint gives way.
		{"/ws?org_id=default", `{"type":"unsubscribe","session_id":"s"}`, "bots"},
		{"/ws?session_id=s", `{"type":"chat_message","data":{}}`, "service"},
		{"/ws?bot_name=b", `{"action":"Disconnect"}`, "action"},
		{"/ws?bot_name=b", `{"type":"execute_workflow"}`, "genesis"},
		// What could be anything leaves it at the hint.
		{"/ws?org_id=default", `{"type":"subscribe"}`, "service"},
		{"/ws?session_id=s", `{}`, "bots"},
	} {
		c := dial(t, s, row.path+map[bool]string{true: "&", false: "?"}[strings.Contains(row.path, "?")]+"token="+token)
		c.send(row.frame)
		c.send(`{"type":"ping"}`) // which each answers in its own way, and is behind whatever the frame was answered with
		c.send(unheard)
		for want, n := answersUnheard[row.want], 0; ; n++ {
			if got := shape(c.next()); got == want {
				break
			} else if n > 3 || !strings.HasPrefix(got, row.want) {
				t.Errorf("%s, %s: %s, want %s", row.path, row.frame, got, row.want)
				break
			}
		}
		c.ws.Close()
	}
}

// What is of no dialect is answered by the default one, and decides nothing;
// neither do pings, which are answered in their own shapes.
func TestSelectionStaysOpen(t *testing.T) {
	t.Parallel()
	for _, standard := range []string{"genesis", "action", "bots", "service"} {
		s := every(t, func(c *config.WebSocket) { c.Default = standard })
		token := s.Token("ann", "default", auth.Member)
		for _, decides := range []struct{ dialect, frame, want string }{
			{"genesis", `{"type":"execute_workflow"}`, "genesis error INVALID_MESSAGE"},
			{"action", `{"action":"Disconnect"}`, "action error Connection No token in request body"},
			{"bots", `{"type":"typing_stop","session_id":"s"}`, "bots error SESSION_NOT_FOUND"},
			{"service", `{"type":"chat_message","data":{}}`, "service error invalid_request"},
		} {
			c := dial(t, s, "/ws?token="+token)
			for _, send := range []string{`no JSON`, `[]`, `"text"`} {
				c.shapes(send, map[string]string{
					"genesis": "genesis error INVALID_MESSAGE", "action": "action error root Error while decoding JSON message",
					"bots": "bots error INVALID_FORMAT", "service": "service error invalid_request",
				}[standard])
			}
			if standard == "action" {
				c.speaks("")
			} else {
				c.speaks(standard)
			}
			c.shapes(`{"type":"join","room_id":"r"}`, "bots error INVALID_FORMAT")
			c.pings()
			c.shapes(decides.frame, decides.want)
			// It is decided now.
			c.speaks(decides.dialect)
			for _, other := range []string{`{"type":"execute_workflow","correlationId":"r"}`, `{"action":"Register"}`, `{"type":"typing_stop"}`, `{"type":"chat_message","data":{}}`} {
				c.send(other)
				if got := shape(c.next()); !strings.HasPrefix(got, decides.dialect) {
					t.Errorf("%s is answered with %s, although %s is spoken", other, got, decides.dialect)
				}
				c.send(other)
				c.next()
			}
			c.speaks(decides.dialect)
		}
		if n := strings.Count(s.Log.String(), "looks like another dialect"); n != 4*3 { // each once, however often they come
			t.Errorf("%d lines of the log say that a frame looks like another dialect", n)
		}
	}
}

// pings sends the pings of three dialects to who has not decided.
func (c *client) pings() {
	c.t.Helper()
	c.send(`{"type":"ping","timestamp":1730000000000}`)
	if m := c.next(); m["type"] != "pong" || m["timestamp"] != 1730000000000.0 || m["payload"] == nil {
		c.t.Errorf("genesis: %v", m)
	}
	for _, ping := range []string{`{"type":"ping","data":{}}`, `{"type":"ping","data":{"n":1}}`, `{"type":"ping"}`} {
		c.send(ping)
		m := c.next()
		data, ok := m["data"].(map[string]any)
		if at, err := time.Parse(time.RFC3339, m["timestamp"].(string)); err != nil || time.Since(at) > time.Minute || m["type"] != "pong" || !ok || len(data) > 0 {
			c.t.Errorf("%s: %v", ping, m)
		}
	}
	c.send(`{"type":"ping","timestamp":12345678901234567890,"correlationId":"r"}`)
	c.ws.SetReadDeadline(time.Now().Add(eventually.Patience))
	_, text, err := c.ws.ReadMessage()
	if err != nil || !strings.Contains(string(text), `"timestamp":12345678901234567890,"correlationId":"r"`) {
		c.t.Errorf("%s %v", text, err)
	}
}

const notification = `{"room":"user:default:ann","event":"notification","data":{"message":"hello"}}`

// What is for a client before it is known what it speaks is kept for it, in case
// that is the dialect service.
func TestSelectionKeepsWhatIsUnasked(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.Silence = time.Second })
	token := s.Token("ann", "default", auth.Member)
	speaks, listens, other := dial(t, s, "/ws?token="+token), dial(t, s, "/ws?org_id=default&token="+token), dial(t, s, "/ws?token="+token)
	for _, c := range []*client{speaks, listens, other} {
		c.pings() // which says nothing about the dialect
	}
	publish(t, s, notification, strings.Replace(notification, "user:default:ann", "tenant:default", 1))
	other.send(`{"type":"typing_stop","session_id":"s"}`)
	speaks.send(`{"type":"subscribe","data":{"channel":"task:t"}}`)
	for _, want := range []string{"service notification", "service notification", "service subscribed"} {
		if got := shape(speaks.next()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for range 2 {
		if got := shape(listens.next()); got != "service notification" {
			t.Error(got)
		}
	}
	publish(t, s, notification)
	for _, c := range []*client{speaks, listens} {
		if got := shape(c.next()); got != "service notification" {
			t.Error(got)
		}
		c.speaks("service") // and nothing came twice
	}
	if got := shape(other.next()); got != "bots error SESSION_NOT_FOUND" {
		t.Error(got)
	}
	other.speaks("bots")
}

// What is kept is bounded.
func TestSelectionKeepsSoMuch(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.Silence = time.Hour })
	c := dial(t, s, "/ws?token="+s.Token("ann", "default", auth.Member))
	c.pings()
	var many []string
	for range 70 {
		many = append(many, notification)
	}
	publish(t, s, many...)
	c.send(`{"type":"subscribe","data":{"channel":"task:t"}}`)
	for range 64 {
		if got := shape(c.next()); got != "service notification" {
			t.Fatal(got)
		}
	}
	for _, want := range []string{"service error internal_error", "service subscribed"} { // the others are not lost silently
		if got := shape(c.next()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Who has a good token and says nothing hears what is for it, and may still turn
// out to speak something else, until it has heard something.
func TestSelectionBySilence(t *testing.T) {
	t.Parallel()
	s := every(t, func(c *config.WebSocket) { c.Silence = 20 * time.Millisecond })
	token := s.Token("ann", "default", auth.Member)
	chosen := func(n int) func() bool {
		return func() bool { return strings.Count(s.Log.String(), "by=silence") == n }
	}
	listens, redecides, hinted := dial(t, s, "/ws?token="+token), dial(t, s, "/ws?token="+token), dial(t, s, "/ws?session_id=s&token="+token)
	deaf := dial(t, s, "/ws?token="+token)
	eventually.True(t, chosen(4))
	// What the dialect has no words for was not heard.
	publish(t, s, `{"room":"user:default:ann","event":"sync_update","data":{"type":"agent","entityID":"a","version":1,"updatedAt":"2026-01-02T10:17:25Z"}}`)
	deaf.shapes(`{"type":"execute_workflow"}`, "genesis error INVALID_MESSAGE")
	hinted.speaks("bots")
	redecides.pings()
	redecides.shapes(`{"type":"typing_stop","session_id":"s"}`, "bots error SESSION_NOT_FOUND")
	redecides.speaks("bots")
	publish(t, s, notification)
	if got := shape(listens.next()); got != "service notification" {
		t.Fatal(got)
	}
	listens.speaks("service")
	listens.shapes(`{"type":"typing_stop","session_id":"s"}`, "service error invalid_request")
	// Without a token, or with a bad one, nobody listens.
	quiet, bad := dial(t, s, "/ws"), dial(t, s, "/ws?token=bad")
	after := dial(t, s, "/ws?token="+token)
	eventually.True(t, chosen(5))
	after.speaks("service")
	quiet.shapes(`no JSON`, "bots error INVALID_FORMAT")
	bad.shapes(`{"action":"Disconnect"}`, "action error Connection No token in request body") // which has tokens of its own
	bad.speaks("action")
}
