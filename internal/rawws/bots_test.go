package rawws_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
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

func TestBots(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	c := dial(t, s, "/ws?token="+token)
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
	away, stays := dial(t, s, "/ws/bots?token="+token), dial(t, s, "/ws/bots?token="+token)
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
