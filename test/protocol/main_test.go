package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// These are the cases of the official Socket.IO suite that are not already
// those of the Engine.IO suite, which internal/engineio holds.

func start(t *testing.T, o options) string {
	t.Helper()
	o.addr, o.contract = "127.0.0.1:0", "enforce"
	ctx, cancel := context.WithCancel(context.Background())
	addr, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- run(ctx, o, func(a net.Addr) { addr <- a }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-addr:
		return "http://" + a.String()
	case err := <-done:
		t.Fatal(err)
		return ""
	}
}

type client struct {
	t *testing.T
	*websocket.Client
}

func dial(t *testing.T, url string) *client {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	cl := &client{t, c}
	cl.next() // the Engine.IO handshake
	return cl
}

// enter is dial and the namespace / with its "auth" event.
func enter(t *testing.T, url string) *client {
	t.Helper()
	c := dial(t, url)
	c.send("40")
	c.next()
	c.next()
	return c
}

func (c *client) send(packets ...string) {
	c.t.Helper()
	for _, p := range packets {
		op := websocket.OpText
		if p[0] < ' ' {
			op = websocket.OpBinary
		}
		if err := c.WriteMessage(op, []byte(p)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// next returns the next packet that is no ping.
func (c *client) next() string {
	c.t.Helper()
	for {
		_, b, err := c.ReadMessage()
		if err != nil {
			c.t.Fatal(err)
		}
		if string(b) != "2" {
			return string(b)
		}
	}
}

func (c *client) expect(packets ...string) {
	c.t.Helper()
	for _, want := range packets {
		if got := c.next(); got != want {
			c.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

func (c *client) expectClose() {
	c.t.Helper()
	for {
		_, _, err := c.ReadMessage()
		var e *websocket.CloseError
		if errors.As(err, &e) || err == io.EOF {
			return
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

func TestConnect(t *testing.T) {
	url := start(t, options{})
	for _, tt := range []struct{ connect, prefix, auth string }{
		{"40", "40", `42["auth",{}]`},
		{`40{"token":"123"}`, "40", `42["auth",{"token":"123"}]`},
		{"40/custom,", "40/custom,", `42/custom,["auth",{}]`},
		{"40/custom", "40/custom,", `42/custom,["auth",{}]`},
		{`40/custom,{"token":"abc"}`, "40/custom,", `42/custom,["auth",{"token":"abc"}]`},
	} {
		c := dial(t, url)
		c.send(tt.connect)
		payload, ok := strings.CutPrefix(c.next(), tt.prefix)
		var fields map[string]any
		if err := json.Unmarshal([]byte(payload), &fields); !ok || err != nil || len(fields) != 1 || fields["sid"] == "" {
			t.Errorf("%s was answered with %q", tt.connect, payload)
		}
		c.expect(tt.auth)
	}
}

func TestConnectIsRefused(t *testing.T) {
	url := start(t, options{})
	c := dial(t, url)
	c.send("40/random")
	c.expect(`44/random,{"message":"Invalid namespace"}`)
	c = dial(t, url)
	c.send("4abc")
	c.expectClose()
	dial(t, url).expectClose() // no handshake within the second that it may take
}

func TestDisconnect(t *testing.T) {
	url := start(t, options{})
	c := enter(t, url)
	c.send("41")
	for range 2 { // nothing but heartbeats follows
		_, b, err := c.ReadMessage()
		if err != nil || string(b) != "2" {
			t.Fatalf("%q %v", b, err)
		}
		c.send("3")
	}
	c = enter(t, url)
	c.send("40/custom")
	c.next()
	c.next()
	c.send("41/custom", `42["message","message to main namespace"]`)
	c.expect(`42["message-back","message to main namespace"]`)
}

func TestMessages(t *testing.T) {
	c := enter(t, start(t, options{}))
	c.send(`42["message",1,"2",{"3":[true]}]`)
	c.expect(`42["message-back",1,"2",{"3":[true]}]`)
	c.send(`42456["message-with-ack",1,"2",{"3":[false]}]`)
	c.expect(`43456[1,"2",{"3":[false]}]`)
	attachments := []string{"\x01\x02\x03", "\x04\x05\x06"}
	c.send(append([]string{`452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`}, attachments...)...)
	c.expect(append([]string{`452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`}, attachments...)...)
	c.send(append([]string{`452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`}, attachments...)...)
	c.expect(append([]string{`462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`}, attachments...)...)
}

func TestInvalidFormats(t *testing.T) {
	url := start(t, options{})
	for _, packet := range []string{"4abc", "42{}", `42abc["message-with-ack",1,"2",{"3":[false]}]`} {
		c := enter(t, url)
		c.send(packet)
		c.expectClose()
	}
}

func TestLoadEvents(t *testing.T) {
	url := start(t, options{load: true})
	c := dial(t, url)
	c.send("40")
	c.next()
	c.send(`420["bench:echo",{"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","seq":7,"text":"x","tags":[],"urgent":false}]`)
	c.expect(`430[{"ok":true,"id":"7c9e6679-7425-40de-944b-e07fc1f90ae7","seq":7}]`)
	c.send(`421["bench:echo",{"id":"x","seq":7,"text":"x","tags":[],"urgent":false}]`)
	c.expect(`431[{"ok":false,"error":{"code":"VALIDATION_ERROR","message":"id: is not a UUID","field":"id"}}]`)
	c.send(`422["bench:join","r"]`)
	c.expect(`432[]`)
	c.send(`423["bench:publish",{"room":"r","count":3,"event":"e","payload":{"a":1}}]`)
	c.expect(`42["e",{"a":1}]`, `42["e",{"a":1}]`, `42["e",{"a":1}]`, `433[]`)
}
