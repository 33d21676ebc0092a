package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A client is one Socket.IO client over WebSocket, in the default namespace, or
// a plain WebSocket.
type client struct {
	ws  *websocket.Client
	out []byte // frames to write together
}

// patience bounds every single wait of a client.
const patience = 60 * time.Second

// connect opens a connection and enters the default namespace. A plain WebSocket
// is in it when it is answered.
func connect(ctx context.Context, t Target) (*client, error) {
	path, enter := "/socket.io/?EIO=4&transport=websocket", func(c *client) error { return c.enter(t.Token) }
	if t.Path != "" {
		path, enter = t.Path+"?token="+url.QueryEscape(t.Token), (*client).greet
	}
	ws, _, err := websocket.Dial(ctx, strings.TrimSuffix(t.URL, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	c := &client{ws: ws}
	if err := enter(c); err != nil {
		ws.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) enter(token string) error {
	c.ws.SetDeadline(time.Now().Add(patience))
	if _, _, err := c.ws.ReadMessage(); err != nil {
		return fmt.Errorf("waiting for the handshake: %w", err)
	}
	packet := []byte("40")
	if token != "" {
		auth, err := json.Marshal(map[string]string{"token": token})
		if err != nil {
			return err
		}
		packet = append(packet, auth...)
	}
	if err := c.ws.WriteMessage(websocket.OpText, packet); err != nil {
		return err
	}
	for {
		b, err := c.read()
		switch {
		case err != nil:
			return fmt.Errorf("waiting for CONNECT: %w", err)
		case bytes.HasPrefix(b, []byte("40")):
			return nil
		case bytes.HasPrefix(b, []byte("44")):
			return fmt.Errorf("the server refuses: %s", b[2:])
		}
	}
}

// greet waits until a plain WebSocket is answered.
func (c *client) greet() error {
	c.ws.SetDeadline(time.Now().Add(patience))
	if err := c.ws.WriteMessage(websocket.OpText, []byte(`{"type":"ping","data":{}}`)); err != nil {
		return err
	}
	_, answer, err := c.ws.ReadMessage()
	if err == nil && !bytes.Contains(answer, []byte(`"pong"`)) {
		err = fmt.Errorf("a ping was answered with %s", answer)
	}
	return err
}

// read returns the next packet that is no heartbeat; those it answers.
func (c *client) read() ([]byte, error) {
	for {
		_, b, err := c.ws.ReadMessage()
		if err != nil {
			return nil, err
		}
		if len(b) != 1 || b[0] != '2' {
			return b, nil
		}
		if err := c.ws.WriteMessage(websocket.OpText, []byte("3")); err != nil {
			return nil, err
		}
	}
}

// queue adds a packet to those that flush writes.
func (c *client) queue(packet []byte) {
	c.out = websocket.AppendClientFrame(c.out, websocket.OpText, packet)
}

func (c *client) flush() error {
	_, err := c.ws.Write(c.out)
	c.out = c.out[:0]
	return err
}

// call emits an event and waits for its acknowledgement. Events that come
// before are dropped.
func (c *client) call(event string, args ...any) error {
	packet, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return err
	}
	c.queue(append([]byte("420"), packet...))
	if err := c.flush(); err != nil {
		return err
	}
	for {
		b, err := c.read()
		if err != nil {
			return fmt.Errorf("waiting for the acknowledgement of %s: %w", event, err)
		}
		if bytes.HasPrefix(b, []byte("430")) {
			return nil
		}
	}
}

func (c *client) close() { c.ws.Close() }

// number reads the digits after the first occurrence of a key.
func number(b []byte, key string) (int, bool) {
	_, rest, found := bytes.Cut(b, []byte(key))
	if !found {
		return 0, false
	}
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(string(rest[:end]))
	return n, err == nil
}
