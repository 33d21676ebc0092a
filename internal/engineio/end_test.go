package engineio

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
)

// A polling client that has said goodbye holds nothing up.
func TestCloseAfterGoodbye(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	f.expect(200, "ok", q, "1")
	<-s.closed
	begun := time.Now()
	if err := f.srv.Close(t.Context()); err != nil || time.Since(begun) > farewellTime/2 {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
}

// A client that hangs up on a POST does not know what has been taken in: the
// connection does not go on without the rest.
func TestPostAbandonedOnHold(t *testing.T) {
	f := newFixture(t, Options{})
	q := f.poll("EIO=4")
	s := <-f.sessions
	held := make(chan struct{})
	s.hold.Store(ptr(func([]byte) {
		s.c.Hold()
		close(held)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, f.url+"?"+q, strings.NewReader("4a\x1e4b"))
	go http.DefaultClient.Do(req)
	<-held
	cancel()
	if r := <-s.closed; r != ReasonTransportClose {
		t.Errorf("closed with %q", r)
	}
	s.c.Release()
	f.expect(400, "", q, "4c")
}

// lateSession notices messages that come after its end.
type lateSession struct{ closed, late atomic.Bool }

func (s *lateSession) Message(*Turn, []byte, bool) {
	if s.closed.Load() {
		s.late.Store(true)
	}
}
func (s *lateSession) Closed(Reason) { s.closed.Store(true) }

func TestNoMessageAfterClosed(t *testing.T) {
	s := &lateSession{}
	f := newFixture(t, Options{})
	body := strings.Repeat("4\x1e", 100_000) + "4"
	for range 50 {
		s.closed.Store(false)
		q := f.poll("EIO=4")
		c := (<-f.sessions).c
		c.session = s
		done := make(chan struct{})
		go func() { f.do(q, body); close(done) }()
		eventually.True(t, func() bool {
			select {
			case <-done: // it was quick
				return true
			default:
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.poll.posting
		})
		c.Close(ReasonForcedClose)
		<-done
		eventually.True(t, s.closed.Load)
	}
	if s.late.Load() {
		t.Error("Message began after Closed")
	}
}
