package rawws_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/asyncapi/asyncapitest"
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
	c := dial(t, s, path)
	c.heard = asDocumented(t, "ws-bots.yaml", "/ws")
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
	second.skips = "bot_typing"
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

// bare is what a client gets in answer to some frames, but for the ids.
func (c *client) bare(frames ...string) (kinds []string) {
	c.t.Helper()
	for _, f := range append(frames, `{"type":"ping"}`) {
		c.send(f)
	}
	for _, m := range c.until("pong") {
		kind := m["type"].(string)
		if code, ok := m["code"]; ok {
			kind = fmt.Sprint(kind, " ", code, " ", m["message"])
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// The id of somebody else's session is as good as one that nobody has: it is a
// name for one of the user's own, in which nobody else hears anything.
func TestBotsForeignSessions(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	ann := dialBots(t, s, "/ws/bots?token="+token)
	ann.send(`{"type":"message","session_id":"secret","content":"help"}`)
	ann.until("stream_end")
	ann.until("bot_typing")
	var rooms struct {
		Rooms []struct{ ChatRoomID string }
	}
	s.Do(token, "GET", "/api/v1/tenants/default/chat/rooms", "", &rooms)
	room := rooms.Rooms[0].ChatRoomID
	for _, other := range []string{s.Token("eve", "default", auth.Member), s.Token("ann", "elsewhere", auth.Member), s.Token("eve", "elsewhere", auth.Admin)} {
		eve := dialBots(t, s, "/ws/bots?token="+other)
		frames := func(id string) []string {
			return []string{
				fmt.Sprintf(`{"type":"unsubscribe","session_id":%q}`, id), fmt.Sprintf(`{"type":"typing_start","session_id":%q}`, id),
				fmt.Sprintf(`{"type":"subscribe","session_id":%q}`, id), fmt.Sprintf(`{"type":"typing_start","session_id":%q}`, id),
				fmt.Sprintf(`{"type":"typing_stop","session_id":%q}`, id), fmt.Sprintf(`{"type":"unsubscribe","session_id":%q}`, id),
			}
		}
		const nobodys = "3f0f62c1-5f0e-4a55-8d55-0f6a3e1f6f0b"
		got := eve.bare(frames(room)...)
		want := eve.bare(frames(nobodys)...)
		if all := strings.ReplaceAll(fmt.Sprint(got), room, nobodys); all != fmt.Sprint(want) || !strings.Contains(all, "session_created") {
			t.Errorf("%v, and of one that nobody has %v", got, want)
		}
		eve.send(fmt.Sprintf(`{"type":"message","session_id":%q,"content":"help"}`, room))
		eve.until("stream_end")
	}
	if heard := ann.bare(); len(heard) != 1 {
		t.Errorf("ann heard %v", heard)
	}
}

// Who may not be in a session any more with a newer token is told, and what is
// said there then is refused.
func TestBotsRenewal(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := dialBots(t, s, "/ws/bots?token="+s.Token("ann", "default", auth.Member))
	c.send(`{"type":"message","session_id":"s","content":"help"}`)
	c.until("stream_end")
	c.until("bot_typing")
	if got := c.bare(fmt.Sprintf(`{"type":"auth","token":%q}`, s.Token("ann", "default", auth.Member))); len(got) != 1 {
		t.Errorf("%v", got)
	}
	c.told(`{"type":"auth","token":"nonsense"}`, "AUTH_FAILED")
	c.told(fmt.Sprintf(`{"type":"auth","token":%q}`, s.Token("eve", "default", auth.Member)), "AUTH_FAILED")
	c.send(fmt.Sprintf(`{"type":"auth","token":%q}`, s.Token("ann", "elsewhere", auth.Member)))
	if m := c.next(); m["type"] != "session_closed" || m["session_id"] != "s" || m["reason"] != "removed" {
		t.Error(m)
	}
	c.told(`{"type":"message","session_id":"s","content":"help"}`, "SESSION_NOT_FOUND")
	c.told(`{"type":"typing_start","session_id":"s"}`, "SESSION_NOT_FOUND")
	if got := c.bare(`{"type":"subscribe","session_id":"s"}`); len(got) != 2 || got[0] != "session_created" {
		t.Errorf("%v", got)
	}
}

// Others hear that somebody is typing, and the end of that also from who goes
// away.
func TestBotsTyping(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	hears := dialBots(t, s, "/ws/bots?token="+token)
	hears.bare(`{"type":"subscribe","session_id":"s"}`)
	for name, leave := range map[string]func(c *client){
		"stop":        func(c *client) { c.send(`{"type":"typing_stop","session_id":"s"}`) },
		"unsubscribe": func(c *client) { c.send(`{"type":"unsubscribe","session_id":"s"}`) },
		"end":         func(c *client) { c.ws.Close() },
	} {
		types := dialBots(t, s, "/ws/bots?token="+token)
		types.bare(`{"type":"subscribe","session_id":"s"}`, `{"type":"typing_start","session_id":"s"}`)
		leave(types)
		for _, want := range []string{"typing_start", "typing_stop"} {
			if m := hears.next(); m["type"] != want || m["session_id"] != "s" || m["user_id"] != "ann" {
				t.Errorf("%s: %v, want %s", name, m, want)
			}
		}
		types.ws.Close()
	}
	if got := hears.bare(); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// The documented limits are just those.
func TestBotsLimits(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	c := dialBots(t, s, "/ws/bots?token="+s.Token("ann", "default", auth.Member))
	longest := strings.Repeat("𝄞", 128)
	if got := c.bare(fmt.Sprintf(`{"type":"subscribe","session_id":%q}`, longest)); len(got) != 2 || got[0] != "session_created" {
		t.Errorf("%v", got)
	}
	c.told(fmt.Sprintf(`{"type":"subscribe","session_id":%q}`, longest+"x"), "SUBSCRIPTION_FAILED")
	c.told(`{"type":"subscribe","session_id":"a\nb"}`, "SUBSCRIPTION_FAILED")
	frame := func(size int) string {
		const begin, end = `{"type":"message","session_id":"s","content":"`, `"}`
		return begin + strings.Repeat("x", size-len(begin)-len(end)) + end
	}
	c.send(frame(64 << 10))
	if all := c.until("stream_end"); all[0]["type"] != "session_created" {
		t.Error(kinds(all))
	}
	c.until("bot_typing")
	c.told(frame(64<<10+1), "MESSAGE_TOO_LARGE")
	c.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _, err := c.ws.ReadMessage()
	var end *websocket.CloseError
	if !errors.As(err, &end) || end.Code != 1009 {
		t.Error(err)
	}
}

// Every example of what clients send is accepted.
func TestBotsAcceptsItsExamples(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	for _, m := range asyncapitest.Document(t, "ws-bots.yaml").Messages() {
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
