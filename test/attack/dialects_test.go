package attack

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// The ways in which clients of plain WebSockets present a credential.
const (
	byQuery   = "by query"
	byHeader  = "by header"
	byMessage = "by message"
)

// dialect is a dialect at a path.
type dialect struct {
	s         *servertest.Server
	path, way string
	probe     string // what only those who were let in get no AUTH_FAILED for
}

// dialects are all dialects in which clients have a credential of the server's,
// at their own paths and where the first frame says which is spoken.
func dialects(s *servertest.Server) (list []transport) {
	for _, d := range []struct {
		paths []string
		ways  []string
		probe string
	}{
		{[]string{"/ws/genesis", "/ws"}, []string{byQuery, byHeader}, `{"type":"subscribe","payload":{"channels":[]},"correlationId":"c"}`},
		{[]string{"/ws/service", "/api/ws", "/ws"}, []string{byQuery, byHeader}, `{"type":"subscribe","data":{"channel":"x"}}`},
		{[]string{"/ws/bots", "/ws"}, []string{byQuery, byHeader, byMessage}, `{"type":"typing_start","session_id":"x"}`},
		{[]string{"/ws/meet"}, []string{byQuery, byHeader, byMessage}, `{"type":"leave","room_id":"x"}`},
		{[]string{"/ws/meet/x"}, []string{byQuery, byHeader, byMessage}, `{"type":"leave"}`},
	} {
		for _, path := range d.paths {
			for _, way := range d.ways {
				list = append(list, dialect{s, path, way, d.probe})
			}
		}
	}
	return list
}

func (d dialect) name() string { return fmt.Sprintf("%s with %s, %s", d.path, d.probe, d.way) }

func (dialect) do(*testing.T, string, operation) (events.Code, bool) { return "", false }

// present presents a credential, as a proxy forwards it for an address unless
// that is "". It returns what the client is told first, or the code of a
// handshake that was refused.
func (d dialect) present(t *testing.T, credential, address string) (c speaker, said words, refused events.Code) {
	t.Helper()
	path, header := d.path, http.Header{}
	if address != "" {
		header.Set("X-Forwarded-For", address)
	}
	switch {
	case credential == "" && d.way != byMessage:
	case d.way == byQuery:
		path += "?token=" + url.QueryEscape(credential)
	case d.way == byHeader:
		header.Set("Authorization", "Bearer "+credential)
	}
	ws, res, err := websocket.Dial(t.Context(), d.s.URL+path, header)
	if err != nil {
		return c, said, handshakeCode(t, d.path, res, err)
	}
	c = speak(t, ws)
	if d.way == byMessage {
		token, _ := json.Marshal(credential)
		c.send(`{"type":"auth","token":` + string(token) + `}`)
	}
	c.send(d.probe)
	return c, c.next(), ""
}

// guess returns the code of the refusal of a guess from an address.
func (d dialect) guess(t *testing.T, credential, address string) events.Code {
	t.Helper()
	c, said, refused := d.present(t, credential, address)
	if refused != "" {
		return refused
	}
	defer c.Close()
	switch {
	case strings.HasPrefix(said.text(), "too many failed attempts"): // which some call RATE_LIMITED
		return events.CodeTooManyFailures
	case said.refuses():
		return events.CodeTokenInvalid
	}
	return ""
}

// knock returns the code that REST has for the refusal, as dialects have only
// one for all: it is the same if the words are.
func (d dialect) knock(t *testing.T, credential string) events.Code {
	t.Helper()
	c, said, refused := d.present(t, credential, "")
	if refused != "" {
		return refused
	}
	defer c.Close()
	if !said.refuses() {
		return ""
	}
	waits := strings.Contains(d.probe, "session_id") || strings.Contains(d.probe, "leave")
	if credential != "" || d.way == byMessage || !waits { // else a token may still come
		c.ended(4401)
	}
	if credential == "" {
		return events.CodeTokenNotFound
	}
	var answer struct{ Error events.Error }
	d.s.Do(credential, http.MethodGet, "/api/v1/me", nil, &answer)
	if answer.Error.Message != said.text() {
		t.Errorf("%s: refused with %q, over REST with %q", d.name(), said.text(), answer.Error.Message)
	}
	return answer.Error.Code
}

func handshakeCode(t *testing.T, path string, res *http.Response, err error) events.Code {
	t.Helper()
	var refusal struct{ Error struct{ Code events.Code } }
	if res == nil || path != "/ws/genesis" || json.NewDecoder(res.Body).Decode(&refusal) != nil {
		t.Fatalf("the handshake failed: %v", err)
	}
	waits := refusal.Error.Code == events.CodeTooManyFailures
	if status := map[bool]int{true: http.StatusTooManyRequests, false: http.StatusUnauthorized}[waits]; res.StatusCode != status || waits != (res.Header.Get("Retry-After") != "") {
		t.Errorf("%s: %s, Retry-After %q", refusal.Error.Code, res.Status, res.Header.Get("Retry-After"))
	}
	return refusal.Error.Code
}

// speaker is a client of any dialect.
type speaker struct {
	t *testing.T
	*websocket.Client
}

func speak(t *testing.T, ws *websocket.Client) speaker {
	ws.SetDeadline(time.Now().Add(20 * time.Second))
	return speaker{t, ws}
}

func dialDialect(t *testing.T, s *servertest.Server, path, token string) speaker {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), s.URL+path, http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return speak(t, ws)
}

func (c speaker) send(frame string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.OpText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

// words are what a server said: the code and the message of an error are in
// different places.
type words struct {
	Type, Code, Message string
	Data, Payload       struct{ Code, Message, Content string }
}

func (c speaker) next() (w words) {
	c.t.Helper()
	_, raw, err := c.ReadMessage()
	if err != nil {
		c.t.Fatalf("the connection ended: %v", err)
	}
	json.Unmarshal(raw, &w) // whose data is something else is no error
	return w
}

func (c speaker) ended(code websocket.Status) {
	c.t.Helper()
	_, raw, err := c.ReadMessage()
	var e *websocket.CloseError
	if !errors.As(err, &e) || e.Code != code {
		c.t.Errorf("%s %v, want the end with %d", raw, err, code)
	}
}

// code is that of an error, else the type of a frame.
func (w words) code() string {
	if w.Type != "error" {
		return w.Type
	}
	return w.Code + w.Data.Code + w.Payload.Code
}

func (w words) text() string { return w.Message + w.Data.Message + w.Payload.Message }

func (w words) refuses() bool {
	code := strings.ToUpper(w.code())
	return code == "AUTH_FAILED" || code == "UNAUTHORIZED"
}

// What is somebody else's is so in every dialect.
func TestRightsOfDialects(t *testing.T) {
	w := newWorld(t)
	b := w.belongings()
	eve := w.as("eve", "other", auth.Admin)
	bob := w.as("bob", "default", auth.Member)
	ada := w.as("ada", "other", auth.Admin) // the user whose things they are, in another tenant
	none := w.hmac(map[string]any{"tenants": nil})
	watch := func(channel string) string {
		return fmt.Sprintf(`{"type":"subscribe","payload":{"channels":[%q]},"correlationId":"c"}`, channel)
	}
	execute := fmt.Sprintf(`{"type":"execute_workflow","payload":{"workflowId":%q,"input":{}}}`, b.workflow)
	subscribe := func(channel string) string {
		return fmt.Sprintf(`{"type":"subscribe","data":{"channel":%q}}`, channel)
	}
	const failed, lower = "SUBSCRIPTION_FAILED", "subscription_failed"
	const away = "unauthorized" // the address is refused, and that is the end
	const join = `{"type":"join","room_id":"r","participant_name":"n"}`
	for _, tt := range []struct{ name, path, who, frame, code string }{
		// Good, so that the others are known to fail for their own sake.
		{"bob's workflow", "/ws/genesis", bob, watch("workflow:" + b.workflow), "subscribed"},
		{"bob runs it", "/ws/genesis", bob, execute, "workflow_started"},
		{"bob's own changes", "/ws/genesis", bob, watch("sync:bob"), "subscribed"},
		{"bob's run", "/ws/service", bob, subscribe("workflow_run:" + b.run), "status_update"},
		{"bob's tenant", "/ws/service", bob, subscribe("tenant:default"), "subscribed"},
		{"bob's listener", "/ws/service", bob, subscribe("listener:" + b.listener), "subscribed"},
		{"bob himself", "/ws/service", bob, subscribe("user:bob"), "subscribed"},
		{"bob's session", "/ws/bots", bob, `{"type":"subscribe","session_id":"s"}`, "session_created"},
		{"bob meets", "/ws/meet", bob, join, "joined"},

		{"a foreign workflow", "/ws/genesis", eve, watch("workflow:" + b.workflow), failed},
		{"a foreign workflow, with its tenant", "/ws/genesis?tenant=default", eve, watch("workflow:" + b.workflow), failed},
		{"running a foreign workflow", "/ws/genesis", eve, execute, "WORKFLOW_NOT_FOUND"},
		{"running it, with its tenant", "/ws/genesis?tenant=default", eve, execute, "WORKFLOW_NOT_FOUND"},
		{"one's own workflow, from another tenant", "/ws/genesis", ada, execute, "WORKFLOW_NOT_FOUND"},
		{"changes of another", "/ws/genesis", bob, watch("sync:ada"), failed},
		{"notifications of another", "/ws/genesis", bob, watch("notifications:ada"), failed},
		{"a path to one's changes", "/ws/genesis", bob, watch("sync:bob:../ada"), failed},
		{"a room for a channel", "/ws/genesis", bob, watch("user:default:ada"), failed},
		{"a run for a channel", "/ws/genesis", bob, watch("workflow:" + b.run), failed},

		{"a foreign tenant", "/ws/service", eve, subscribe("tenant:default"), lower},
		{"a foreign tenant, in the address", "/ws/service?tenant=default", eve, subscribe("tenant:default"), away},
		{"a foreign run", "/ws/service", eve, subscribe("workflow_run:" + b.run), lower},
		{"one's own run, from another tenant", "/ws/service", ada, subscribe("workflow_run:" + b.run), lower},
		{"a foreign listener", "/ws/service", eve, subscribe("listener:" + b.listener), lower},
		{"tests of a foreign listener", "/ws/service", eve, subscribe("listener_test:" + b.listener), lower},
		{"another user", "/ws/service", bob, subscribe("user:ada"), lower},
		{"another user, in disguise", "/ws/service", bob, subscribe("user:default:ada"), lower},
		{"conversations of a foreign tenant", "/ws/service?tenant=default", eve, subscribe("conversation:c"), away},
		{"conversations of a foreign organisation", "/api/ws?org_id=default", eve, subscribe("conversation:c"), away},
		{"nobody's run", "/ws/service", none, subscribe("workflow_run:" + b.run), lower},

		{"sessions of a foreign tenant", "/ws/bots?tenant=default", eve, `{"type":"subscribe","session_id":"s"}`, failed},
		{"nobody's session", "/ws/bots", none, `{"type":"subscribe","session_id":"s"}`, failed},

		{"a foreign meeting", "/ws/meet", eve, `{"type":"join","room_id":"r","participant_name":"n","tenant_id":"default"}`, "PERMISSION_DENIED"},
		{"a foreign meeting, in the address", "/ws/meet/r?tenant_id=default", eve, `{"type":"join","participant_name":"n"}`, "PERMISSION_DENIED"},
		{"nobody's meeting", "/ws/meet?tenant_id=default", none, join, "PERMISSION_DENIED"},
	} {
		c := dialDialect(t, w.Server, tt.path, tt.who)
		c.send(tt.frame)
		for code := range strings.FieldsSeq(tt.code) {
			if said := c.next(); said.code() != code {
				t.Errorf("%s: %s %q, want %s", tt.name, said.code(), said.text(), code)
			}
		}
	}
}

// The id of another's conversation is a name of one's own: it is neither heard
// nor spoken in, and nobody learns that it is there.
func TestForeignConversations(t *testing.T) {
	w := newWorld(t)
	b := w.belongings()
	admin := w.as("ada", "default", auth.Admin)
	others := map[string]speaker{
		`{"type":"message","session_id":%q,"content":"intruding"}`:                        dialDialect(t, w.Server, "/ws/bots", w.as("bob", "default", auth.Member)),
		`{"type":"chat_message","data":{"conversation_id":%q,"content":"intruding too"}}`: dialDialect(t, w.Server, "/ws/service", w.as("ann", "default", auth.Member)),
		`{"type":"chat_message","data":{"conversation_id":%q,"content":"from afar"}}`:     dialDialect(t, w.Server, "/ws/service", w.as("eve", "other", auth.Admin)),
	}
	for frame, c := range others {
		c.send(fmt.Sprintf(frame, b.chat))
		for said := c.next(); said.Type != "stream_end" && said.Type != "chat_message"; said = c.next() {
			if said.Type == "error" {
				t.Errorf("%s: %s %q", frame, said.code(), said.text())
				break
			}
		}
	}
	mine := w.open("/", admin)
	mine.call("ai_chat_room_join", map[string]any{"chatRoomID": b.chat})
	if _, code := mine.call("ai_chat_user_message", map[string]any{"chatRoomID": b.chat, "message": "secret"}); code != "" {
		t.Fatal(code)
	}
	mine.next("ai_chat_bot_message")
	history, _ := mine.call("ai_chat_history", map[string]any{"chatRoomID": b.chat})
	if got := string(history); strings.Contains(got, "intruding") || strings.Contains(got, "afar") || !strings.Contains(got, "secret") {
		t.Errorf("%s", got)
	}
	for frame, c := range others {
		c.send(`{"type":"ping","data":{}}`)
		for said := c.next(); said.Type != "pong"; said = c.next() {
			if said.Type == "message" || said.Type == "chat_message" {
				t.Errorf("%s: heard %+v", frame, said)
			}
		}
	}
}
