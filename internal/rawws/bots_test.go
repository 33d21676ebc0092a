package rawws_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// until returns the messages up to one of a type.
func (c *client) until(kind string) (all []map[string]any) {
	c.t.Helper()
	for {
		m := c.next()
		all = append(all, m)
		if m["type"] == kind {
			return all
		}
	}
}

func kinds(all []map[string]any) string {
	var list []string
	for _, m := range all {
		if k := m["type"].(string); len(list) == 0 || list[len(list)-1] != k {
			list = append(list, k)
		}
	}
	return strings.Join(list, " ")
}

// dialBots returns a client that holds what it gets against the document.
func dialBots(t *testing.T, s *servertest.Server, path string) *client {
	t.Helper()
	doc, err := asyncapi.Parse(asyncapi.Dialects()["ws-bots.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	contract, err := asyncapi.NewContract(doc, asyncapi.Enforce, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s, path)
	c.heard = func(text []byte) {
		var m struct{ Type string }
		json.Unmarshal(text, &m)
		if err := contract.Outbound("/ws", m.Type, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	return c
}

func TestBots(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	c := dialBots(t, s, "/ws?token="+token)
	c.send(`{"type":"subscribe","session_id":"session-uuid"}`)
	c.send(`{"type":"message","session_id":"session-uuid","content":"Hello!"}`)
	all := c.until("stream_end")
	if got := kinds(all); got != "session_created stream_start bot_typing stream_chunk stream_end" {
		t.Fatal(got)
	}
	text := ""
	for _, m := range all {
		if m["type"] == "stream_chunk" {
			text += m["content"].(string)
		}
		if m["type"] != "stream_chunk" && m["session_id"] != "session-uuid" {
			t.Errorf("%v", m)
		}
	}
	if end := all[len(all)-1]; end["content"] != text {
		t.Errorf("%v is not %q", end, text)
	}
	c.until("bot_typing")
	// The answer was streamed: it does not come again.
	c.send(`{"type":"unsubscribe","session_id":"session-uuid"}`)
	if got := kinds(c.until("session_closed")); got != "session_closed" {
		t.Error(got)
	}
	c.send(`{"type":"typing_start","session_id":"session-uuid"}`)
	if m := c.next(); m["code"] != "SESSION_NOT_FOUND" {
		t.Error(m)
	}
}

// Two clients of a user, one of which goes away in the middle.
func TestBotsComeBack(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	away, stays := dialBots(t, s, "/ws/bots?token="+token), dialBots(t, s, "/ws/bots?token="+token)
	for _, c := range []*client{away, stays} {
		c.send(`{"type":"subscribe","session_id":"s"}`)
		c.send(`{"type":"ping"}`)
		c.until("pong")
	}
	away.send(`{"type":"message","session_id":"s","content":"one"}`)
	away.until("stream_end")
	all := stays.until("stream_end")
	var user []map[string]any
	for _, m := range all {
		if m["role"] == "user" {
			user = append(user, m)
		}
	}
	if len(user) != 1 || user[0]["content"] != "one" {
		t.Errorf("%v", all)
	}
}

// told sends a frame and expects an error with a code.
func (c *client) told(frame, code string) {
	c.t.Helper()
	c.send(frame)
	if m := c.next(); m["code"] != code {
		c.t.Errorf("%s: %v, want %s", frame, m, code)
	}
}

func TestBotsRefusals(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := dialBots(t, s, "/ws/bots?token="+s.Token("ann", "default", auth.Member))
	long := strings.Repeat("x", 129)
	for frame, code := range map[string]string{
		"nonsense":                            "INVALID_FORMAT",
		"[]":                                  "INVALID_FORMAT",
		"{}":                                  "INVALID_FORMAT",
		`{"type":"dance","session_id":"s"}`:   "INVALID_FORMAT",
		`{"type":"join","room_id":"r"}`:       "INVALID_FORMAT",
		`{"type":"message","session_id":"s"}`: "INVALID_FORMAT",
		`{"type":"subscribe"}`:                "SUBSCRIPTION_FAILED",
		`{"type":"subscribe","session_id":"` + long + `"}`: "SUBSCRIPTION_FAILED",
		`{"type":"message","session_id":"","content":"x"}`: "SUBSCRIPTION_FAILED",
		`{"type":"unsubscribe","session_id":"other"}`:      "SESSION_NOT_FOUND",
		`{"type":"typing_stop","session_id":"other"}`:      "SESSION_NOT_FOUND",
		`{"type":"auth","token":"nonsense"}`:               "AUTH_FAILED",
	} {
		c.send(frame)
		m := c.next()
		if m["type"] == "session_created" {
			m = c.next()
		}
		if m["code"] != code {
			t.Errorf("%s: %v, want %s", frame, m, code)
		}
	}
	c.send(`{"type":"ping"}`)
	if m := c.next(); m["type"] != "pong" { // it is still there
		t.Error(m)
	}
	// Fields may stand in a payload.
	c.send(`{"type":"subscribe","payload":{"session_id":"p"},"timestamp":"2024-01-01T10:00:00Z"}`)
	if m := c.next(); m["type"] != "session_created" || m["session_id"] != "p" {
		t.Error(m)
	}
}

// Who says a wrong token first is told so, and shown out.
func TestBotsFirstMessage(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	good := dialBots(t, s, "/ws")
	good.send(fmt.Sprintf(`{"type":"auth","token":%q}`, s.Token("ann", "default", auth.Member)))
	good.send(`{"type":"subscribe","session_id":"s"}`)
	good.until("session_created")
	for _, token := range []string{"", "nonsense"} {
		bad := dialBots(t, s, "/ws/bots")
		bad.told(`{"type":"subscribe","session_id":"s"}`, "AUTH_FAILED")
		bad.told(fmt.Sprintf(`{"type":"auth","token":%q}`, token), "AUTH_FAILED")
		bad.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _, err := bad.ws.ReadMessage()
		var end *websocket.CloseError
		if !errors.As(err, &end) || end.Code != 4401 {
			t.Error(err)
		}
	}
}

// What is said while a user is away comes when the user is back, also to one
// who went without having confirmed anything.
func TestBotsNothingIsLost(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	const sub, ping = `{"type":"subscribe","session_id":"s"}`, `{"type":"ping"}`
	first := dialBots(t, s, "/ws/bots?token="+token)
	first.send(sub)
	first.until("session_created")
	first.send(ping)
	first.until("pong")
	// Nobody of this client reads any more, so it confirms nothing.
	first.send(`{"type":"message","session_id":"s","content":"help"}`)
	var rooms struct {
		Rooms []struct{ ChatRoomID string }
	}
	eventually.True(t, func() bool {
		s.Do(token, "GET", "/api/v1/tenants/default/chat/rooms", "", &rooms)
		return len(rooms.Rooms) == 1
	})
	first.ws.Close()
	second := dialBots(t, s, "/ws/bots?token="+token)
	second.send(sub)
	if m := second.next(); m["role"] != "user" || m["content"] != "help" || m["user_id"] != "ann" {
		t.Error(m)
	}
	for { // the answer, or the rest of it
		if m := second.next(); m["type"] == "stream_end" || m["role"] == "assistant" {
			break
		}
	}
	second.send(`{"type":"unsubscribe","session_id":"s"}`)
	second.until("session_closed")
	// It was here a moment ago.
	second.send(sub)
	second.send(ping)
	if m := second.next(); m["type"] != "pong" {
		t.Error(m)
	}
	id := rooms.Rooms[0].ChatRoomID
	second.told(fmt.Sprintf(`{"type":"subscribe","session_id":%q}`, id), "SUBSCRIPTION_FAILED")
	// What is said in a session that is gone does not make another one.
	if status := s.Do(token, "DELETE", "/api/v1/tenants/default/chat/rooms/"+id, "", nil); status/100 != 2 {
		t.Fatal(status)
	}
	if m := second.next(); m["type"] != "session_closed" || m["reason"] != "deleted" {
		t.Error(m)
	}
	second.told(`{"type":"message","session_id":"s","content":"help"}`, "SESSION_NOT_FOUND")
	second.send(sub)
	if m := second.next(); m["type"] != "session_created" {
		t.Error(m)
	}
	second.send(`{"type":"message","session_id":"s","content":"help"}`)
	if all := second.until("stream_end"); all[0]["type"] != "stream_start" {
		t.Error(kinds(all))
	}
}

// Every example of what clients send is accepted.
func TestBotsAcceptsItsExamples(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	doc, err := asyncapi.Parse(asyncapi.Dialects()["ws-bots.yaml"])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range doc.Messages() {
		for _, e := range m.Examples {
			if !m.Inbound || m.Name == "auth" { // its token is no token
				continue
			}
			c := dialBots(t, s, "/ws?token="+token)
			c.send(`{"type":"subscribe","session_id":"550e8400-e29b-41d4-a716-446655440000"}`)
			c.send(string(e))
			c.send(`{"type":"ping"}`)
			for heard := map[string]any{}; heard["type"] != "pong"; {
				if heard = c.next(); heard["type"] == "error" {
					t.Errorf("%s: %v", e, heard)
				}
			}
			c.ws.Close()
		}
	}
}
