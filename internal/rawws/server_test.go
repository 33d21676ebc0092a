package rawws_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// A client speaks plain WebSocket.
type client struct {
	t  *testing.T
	ws *websocket.Client
	// heard looks at every message besides, unless it is nil.
	heard func(text []byte)
	// skips is a type of messages that come when they like.
	skips string
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
	return &client{t: t, ws: ws}
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
	c.ws.SetReadDeadline(time.Now().Add(eventually.Patience))
	_, text, err := c.ws.ReadMessage()
	if err != nil {
		c.t.Fatal(err)
	}
	if c.heard != nil {
		c.heard(text)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	if c.skips != "" && m["type"] == c.skips {
		return c.next()
	}
	return m
}
