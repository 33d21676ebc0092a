package rawws_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// A client speaks plain WebSocket.
type client struct {
	t  *testing.T
	ws *websocket.Client
}

func dial(t *testing.T, s *servertest.Server, path string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, strings.Replace(s.URL, "http", "ws", 1)+path, http.Header{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	return &client{t, ws}
}

func (c *client) send(text string) {
	c.t.Helper()
	if err := c.ws.WriteMessage(websocket.OpText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next message as JSON.
func (c *client) next() map[string]any {
	c.t.Helper()
	c.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, text, err := c.ws.ReadMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	return m
}

func TestService(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	token := s.Token("ann", "default", auth.Member)
	c := dial(t, s, "/api/ws?token="+token)
	c.send(`{"type":"ping","data":{}}`)
	if m := c.next(); m["type"] != "pong" {
		t.Fatal(m)
	}
	c.send(`{"type":"subscribe","data":{"channel":"tenant:default"}}`)
	if m := c.next(); m["type"] != "subscribed" {
		t.Fatal(m)
	}
	c.send(`{"type":"subscribe","data":{"channel":"tenant:other"}}`)
	if m := c.next(); m["type"] != "error" || m["data"].(map[string]any)["code"] != "subscription_failed" {
		t.Fatal(m)
	}
	c.send(`nonsense`)
	if m := c.next(); m["type"] != "error" {
		t.Fatal(m)
	}
	var answer map[string]any
	status := s.Do(s.Token("boss", "default", auth.Admin), "POST", "/api/v1/tenants/default/publish", map[string]any{
		"room": "tenant:default", "event": "listener_event", "data": map[string]any{"channelName": "tenant:default", "data": map[string]any{"n": 1}, "mode": "append", "limit": 1000, "timestamp": 1},
	}, &answer)
	if status/100 != 2 {
		t.Fatal(status, answer)
	}
	if m := c.next(); m["type"] != "listener_event" {
		t.Fatal(m)
	}
}

func TestUserRoom(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	boss := s.Token("boss", "default", auth.Admin)
	ann, bob := dial(t, s, "/api/ws?token="+s.Token("ann", "default", auth.Member)), dial(t, s, "/api/ws?token="+s.Token("bob", "default", auth.Member))
	for _, c := range []*client{ann, bob} {
		c.send(`{"type":"ping","data":{}}`)
		c.next()
	}
	var answer map[string]any
	status := s.Do(boss, "POST", "/api/v1/tenants/default/publish", `{"messages":[
		{"room":"user:default:bob","event":"notification","data":{"message":"for bob"}},
		{"room":"user:default:ann","event":"notification","data":{"message":"for ann"}}]}`, &answer)
	if status != 200 {
		t.Fatal(status, answer)
	}
	for c, want := range map[*client]string{ann: "for ann", bob: "for bob"} {
		if m := c.next(); m["type"] != "notification" || m["data"].(map[string]any)["message"] != want {
			t.Fatal(m)
		}
	}
}
