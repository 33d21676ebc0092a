package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// A transport is a way into the server. Another one joins every table by being
// in the list below.
type transport interface {
	name() string
	// knock presents a credential and returns the code of the refusal, "" if
	// it was let in.
	knock(t *testing.T, credential string) events.Code
	// do tries something with a credential and returns the code of the
	// refusal. ok is false if the transport has no such thing.
	do(t *testing.T, credential string, op operation) (code events.Code, ok bool)
}

func transports(s *servertest.Server) []transport {
	return append(dialects(s), socketIO{s, "/"}, socketIO{s, "/monitor"}, socketIO2{s}, restAPI{s})
}

// An operation is something to try, in the words of each transport.
type operation struct {
	namespace, event string
	payload          any

	method, path string
	body         any
}

// socketIO is a namespace over WebSocket.
type socketIO struct {
	s         *servertest.Server
	namespace string
}

func (x socketIO) name() string { return "Socket.IO " + x.namespace }

func (x socketIO) knock(t *testing.T, credential string) events.Code {
	t.Helper()
	c := dial(t, x.s, x.namespace)
	defer c.Close()
	return c.enter(map[string]any{"token": credential})
}

func (x socketIO) do(t *testing.T, credential string, op operation) (events.Code, bool) {
	t.Helper()
	if op.event == "" || op.namespace != x.namespace && !(op.namespace == "" && x.namespace == "/") {
		return "", false
	}
	c := dial(t, x.s, x.namespace)
	defer c.Close()
	if code := c.enter(map[string]any{"token": credential}); code != "" {
		t.Fatalf("%s was not let in: %s", op.event, code)
	}
	_, code := c.call(op.event, op.payload)
	return code, true
}

// socketIO2 is the default namespace as clients of version 2 enter it: with the
// connection, and a token in its address.
type socketIO2 struct{ s *servertest.Server }

func (socketIO2) name() string { return "Socket.IO 2" }

func (x socketIO2) knock(t *testing.T, credential string) events.Code {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), x.s.URL+"/socket.io/?EIO=3&transport=websocket&token="+url.QueryEscape(credential), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ws.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: t, Client: ws}
	c.packet() // the handshake
	p := c.packet()
	if p == "40" {
		return ""
	}
	var refusal struct{ Code events.Code }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p, "44")), &refusal); err != nil {
		t.Fatalf("entering was answered with %s", p)
	}
	return refusal.Code
}

func (socketIO2) do(*testing.T, string, operation) (events.Code, bool) { return "", false }

// client is one Socket.IO client in one namespace.
type client struct {
	t *testing.T
	*websocket.Client
	prefix string // of the namespace, in packets
	id     int
	heard  []string // packets that nobody has asked for
}

func dial(t *testing.T, s *servertest.Server, namespace string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), s.URL+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: t, Client: ws}
	if namespace != "/" {
		c.prefix = namespace + ","
	}
	c.packet() // the handshake
	return c
}

// packet returns the next packet that is no heartbeat.
func (c *client) packet() string {
	c.t.Helper()
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			c.t.Fatalf("the connection ended: %v", err)
		}
		if string(b) != "2" {
			return string(b)
		}
		c.write("3")
	}
}

func (c *client) write(packet string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.OpText, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// enter sends CONNECT and returns the code of CONNECT_ERROR, "" if there is
// none.
func (c *client) enter(auth map[string]any) events.Code {
	c.t.Helper()
	raw, _ := json.Marshal(auth)
	c.write("40" + c.prefix + string(raw))
	p := c.packet()
	if strings.HasPrefix(p, "40"+c.prefix) {
		return ""
	}
	var refusal struct {
		Message string
		Data    struct {
			Code    events.Code
			Message string
		}
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p, "44"+c.prefix)), &refusal); err != nil || refusal.Message == "" || refusal.Message != refusal.Data.Message {
		c.t.Fatalf("CONNECT was answered with %s", p)
	}
	return refusal.Data.Code
}

// call emits an event and returns its acknowledgement, and the code in it.
func (c *client) call(event string, payload any) (json.RawMessage, events.Code) {
	c.t.Helper()
	c.id++
	raw, _ := json.Marshal([]any{event, payload})
	c.write(fmt.Sprintf("42%s%d%s", c.prefix, c.id, raw))
	want := fmt.Sprintf("43%s%d", c.prefix, c.id)
	for {
		p := c.packet()
		answer, ok := strings.CutPrefix(p, want)
		if !ok {
			c.heard = append(c.heard, p)
			continue
		}
		var acks []struct{ Error struct{ Code events.Code } }
		var args []json.RawMessage
		if json.Unmarshal([]byte(answer), &acks) != nil || json.Unmarshal([]byte(answer), &args) != nil || len(acks) != 1 {
			c.t.Fatalf("%s was acknowledged with %s", event, answer)
		}
		return args[0], acks[0].Error.Code
	}
}

// next returns the payload of the next event of a name; "" stands for the
// DISCONNECT of the namespace.
func (c *client) next(event string) string {
	c.t.Helper()
	want := fmt.Sprintf("42%s[%q,", c.prefix, event)
	if event == "" {
		want = "41" + c.prefix
	}
	for i, p := range c.heard {
		if strings.HasPrefix(p, want) {
			c.heard = append(c.heard[:i], c.heard[i+1:]...)
			return p
		}
	}
	for {
		if p := c.packet(); strings.HasPrefix(p, want) {
			return p
		}
	}
}

// restAPI is the HTTP API.
type restAPI struct{ s *servertest.Server }

func (restAPI) name() string { return "REST" }

func (x restAPI) knock(t *testing.T, credential string) events.Code {
	t.Helper()
	code, _ := x.do(t, credential, operation{method: http.MethodGet, path: "/api/v1/me"})
	return code
}

func (x restAPI) do(t *testing.T, credential string, op operation) (events.Code, bool) {
	t.Helper()
	if op.path == "" {
		return "", false
	}
	var answer struct{ Error struct{ Code events.Code } }
	status := x.s.Do(credential, op.method, op.path, op.body, &answer)
	if (answer.Error.Code == "") != (status < 300) {
		t.Errorf("%s %s: status %d with code %q", op.method, op.path, status, answer.Error.Code)
	}
	return answer.Error.Code, true
}
