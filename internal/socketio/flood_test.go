package socketio

import (
	"context"
	"encoding/json"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/namespaces"
)

// When an event has become slow for everybody at once, others do not wait for
// one call of it after the other.
func TestEventThatBecomesSlow(t *testing.T) {
	const n = 200
	var begun atomic.Int64
	release := make(chan struct{})
	slow := namespaces.Handle("slow", func(context.Context, namespaces.Session, struct{}) (struct{}, error) { return struct{}{}, nil })
	f := newFixture(t, Options{}, namespaces.Namespace{Routes: []namespaces.Route{slow}}, func(_ namespaces.Session, name string, _ []json.RawMessage, _ bool) string {
		if name == "slow" {
			begun.Add(1)
			<-release
		}
		return "1"
	})
	defer close(release)
	var clients []*client
	for range n {
		clients = append(clients, f.enter())
	}
	other := f.enter()
	start := time.Now()
	for _, c := range clients {
		c.send(`42["slow"]`)
	}
	other.send(`421["x"]`)
	other.expect("431[1]")
	if took := time.Since(start); took > n*time.Millisecond {
		t.Errorf("another client was answered after %v", took)
	}
	for begun.Load() < n {
		runtime.Gosched()
	}
}

// The attachments of a packet are bounded together, and those of a client that
// was refused are not kept.
func TestAttachmentsAreBounded(t *testing.T) {
	f := newFixture(t, Options{MaxAttachments: 2500}, namespaces.Namespace{}, echo)
	packet := `453-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`
	part := "binary:" + strings.Repeat("x", 1000)
	c := f.enter()
	c.send(packet, part, part, part)
	c.expectClose(websocket.StatusProtocolError)

	s := newSession(&link{srv: f.srv}, "/", nil)
	s.attach([]byte("before"))
	s.end(true)
	s.attach([]byte("after"))
	if len(s.parts) > 0 {
		t.Errorf("%d attachments are kept", len(s.parts))
	}
}

// Arguments that nobody has a use for cost no more than the bytes they came in.
func TestManyArguments(t *testing.T) {
	_, args, err := eventArgs([]byte(`["x"`+strings.Repeat(",[]", 100_000)+"]"), nil)
	if err != nil || len(args) != maxElements-1 {
		t.Errorf("%d arguments, %v", len(args), err)
	}
}

// What a client has said to a namespace before it could know that the server
// had ended it there does no harm to its other namespaces.
func TestEventsAfterTheServerEndedTheSession(t *testing.T) {
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	c := f.enter()
	c.send(`40/admin,{"token":"admin"}`)
	c.read()
	f.srv.spaces["/admin"].sessions.all()[0].Disconnect()
	c.expect("41/admin,")
	c.send(`42/admin,["late"]`, `451-/admin,["late",{"_placeholder":true,"num":0}]`, "binary:x", "41/admin,", `421["x",1]`)
	c.expect("431[1]")
	c.send(`40/admin,{"token":"admin"}`)
	c.read()
	c.send("41/admin,", `42/admin,["never entered"]`)
	c.expectClose(websocket.StatusProtocolError)
}
