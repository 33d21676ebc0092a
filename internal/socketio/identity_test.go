package socketio

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/namespaces"
)

// A session that the server ends has heard everything before, is told, and may
// come again on the same connection.
func TestDisconnect(t *testing.T) {
	opened, closed := make(chan *Session, 10), make(chan string, 10)
	f := newFixture(t, Options{}, namespaces.Namespace{
		Opened: func(_ context.Context, s namespaces.Session) { opened <- s.(*Session) },
		Closed: func(s namespaces.Session) { closed <- s.ID() },
	}, func(s namespaces.Session, event string, _ []json.RawMessage, _ bool) string {
		return `"` + s.Identity().User + `"`
	})
	for _, query := range []string{"EIO=4", "EIO=3&token=ada"} {
		c := f.dial(query)
		if query == "EIO=4" {
			c.send(`40{"token":"ada"}`)
			c.read()
		} else {
			c.expect("40")
		}
		s := <-opened
		s.Join("a")
		s.Join("b")
		if rooms := s.Rooms(); len(rooms) != 2 || !slices.Contains(rooms, events.Room("a")) {
			t.Errorf("in %v", rooms)
		}
		s.Renew(&auth.Identity{User: "renewed"})
		c.send(`421["who"]`)
		c.expect(`431["renewed"]`)
		s.Emit(events.AuthEnded{Code: "X", Message: "y"})
		s.Disconnect()
		s.Disconnect()
		c.expect(`42["auth_ended",{"code":"X","message":"y"}]`)
		c.expect("41")
		if id := <-closed; id != s.ID() {
			t.Errorf("closed %s", id)
		}
		if rooms := s.Rooms(); len(rooms) != 0 {
			t.Errorf("still in %v", rooms)
		}
		if query != "EIO=4" {
			continue
		}
		c.send("40")
		if got := c.read(); !strings.HasPrefix(got, `40{"sid":"`) {
			t.Errorf("entering again: %q", got)
		}
		<-opened
		c.send("40/admin,{\"token\":\"admin\"}")
		c.read()
		f.srv.spaces["/admin"].sessions.all()[0].Disconnect()
		c.expect("41/admin,")
		c.send(`422["who"]`)
		c.expect(`432[""]`)
	}
}

// Failures are counted by address: every credential has one, wherever it came
// from.
func TestCredentialsKnowTheirAddress(t *testing.T) {
	seen := make(chan auth.Credential, 10)
	f := newFixture(t, Options{}, namespaces.Namespace{}, echo)
	authenticate := f.srv.opts.Authenticate
	f.srv.opts.Authenticate = func(ctx context.Context, c auth.Credential) (*auth.Identity, error) {
		seen <- c
		return authenticate(ctx, c)
	}
	for query, packet := range map[string]string{
		"EIO=4&x=1": `40{"token":"ada"}`, "EIO=4&x=2&token=ada": "40", "EIO=4&x=3": "40", "EIO=3&token=ada": "", "EIO=3&x=4": "40/admin?token=bad",
	} {
		c := f.dial(query)
		if packet != "" {
			c.send(packet)
		}
		c.read()
		if got := <-seen; got == (auth.Credential{}) || got != got.From("127.0.0.1") {
			t.Errorf("%s %s: %#v", query, packet, got)
		}
		for len(seen) > 0 {
			<-seen
		}
	}
}

// What waits when a session is put out is not done any more.
func TestWhatWaitsIsNotDoneAfterDisconnect(t *testing.T) {
	opened, handled, release := make(chan *Session, 1), make(chan string, 10), make(chan struct{})
	closed := make(chan string, 1)
	f := newFixture(t, Options{}, namespaces.Namespace{
		Opened: func(_ context.Context, s namespaces.Session) { opened <- s.(*Session) },
		Closed: func(s namespaces.Session) { closed <- s.ID() },
	}, func(_ namespaces.Session, event string, _ []json.RawMessage, _ bool) string {
		handled <- event
		<-release
		return `""`
	})
	c := f.dial("EIO=4")
	c.send(`40{"token":"ada"}`)
	c.read()
	s := <-opened
	c.send(`421["slow"]`)
	<-handled
	c.send(`422["never"]`)
	for waiting := 0; waiting == 0; {
		s.mu.Lock()
		waiting = len(s.queue)
		s.mu.Unlock()
	}
	s.Disconnect()
	c.expect("41")
	close(release)
	<-closed
	if len(handled) > 0 {
		t.Errorf("%s was handled for a session that was put out", <-handled)
	}
}

// A session that is put out hears nothing more, whatever else its connection
// is doing, and what it has sent meanwhile does not end the others.
func TestDisconnectWhileTheConnectionIsBusy(t *testing.T) {
	opened, closed := make(chan *Session, 1), make(chan string, 1)
	f := newFixture(t, Options{}, namespaces.Namespace{
		Opened: func(_ context.Context, s namespaces.Session) { opened <- s.(*Session) },
		Closed: func(s namespaces.Session) { closed <- s.ID() },
	}, echo)
	authenticate, busy, release := f.srv.opts.Authenticate, make(chan struct{}), make(chan struct{})
	f.srv.opts.Authenticate = func(ctx context.Context, c auth.Credential) (*auth.Identity, error) {
		if tokenOf(c) == "admin" { // an issuer that takes its time
			close(busy)
			<-release
		}
		return authenticate(ctx, c)
	}
	c := f.dial("EIO=4")
	c.send(`40{"token":"ada"}`)
	c.read()
	s := <-opened
	s.Join("room")
	c.send(`40/admin,{"token":"admin"}`)
	<-busy
	s.Disconnect()
	f.srv.PublishRaw("/", "room", cluster.Position{}, "secret", json.RawMessage("1"))
	c.expect("41")
	<-closed
	c.send(`427["sent before it knew"]`)
	c.send("41")
	close(release)
	if got := c.read(); !strings.HasPrefix(got, "40/admin,") {
		t.Fatalf("heard %s", got)
	}
	c.send(`42/admin,8["still there"]`)
	if got := c.read(); !strings.HasPrefix(got, "43/admin,8") {
		t.Errorf("the other namespace: %s", got)
	}
	c.send(`40{"token":"ada"}`)
	if got := c.read(); !strings.HasPrefix(got, "40{") {
		t.Errorf("entering again: %s", got)
	}
	<-opened
}
