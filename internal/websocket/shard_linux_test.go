package websocket

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// script is a handler made of a function.
type script struct {
	on     func(c *Conn, t *Turn, data string)
	closed chan *CloseError
}

func (s *script) Message(c *Conn, t *Turn, _ Opcode, data []byte) { s.on(c, t, string(data)) }
func (s *script) Pong(*Conn, []byte)                              {}
func (s *script) Closed(_ *Conn, err *CloseError)                 { s.closed <- err }

// oneShard starts a server whose connections share a shard. stop ends it.
func oneShard(t *testing.T, opts Options, on func(c *Conn, t *Turn, data string)) (dial func() (*Client, *Conn, *script), srv *Server, stop func()) {
	srv = NewServer(opts)
	all := srv.shards()
	srv.shards = func() []*shard { return all[:1] }
	for _, s := range all[1:] {
		s.close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { srv.Run(ctx); close(done) }()
	type pair struct {
		c *Conn
		h *script
	}
	conns := make(chan pair, 1)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, buffered, err := srv.Upgrade(w, r, nil); err == nil {
			h := &script{on, make(chan *CloseError, 1)}
			c.Start(h, buffered)
			conns <- pair{c, h}
		}
	}))
	stop = func() { cancel(); <-done }
	t.Cleanup(func() { hs.Close(); stop() })
	return func() (*Client, *Conn, *script) {
		t.Helper()
		client, _, err := Dial(t.Context(), hs.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		p := <-conns
		return client, p.c, p.h
	}, srv, stop
}

func messages(texts ...string) []byte {
	var b []byte
	for _, s := range texts {
		b = append(b, frame(fin|byte(OpText), s)...)
	}
	return b
}

// Who is resumed together with one that then takes long is read meanwhile.
func TestResumedBehindSlow(t *testing.T) {
	release, gate, entered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	got := make(chan struct{}, 1)
	var paused atomic.Int32
	dial, _, _ := oneShard(t, Options{}, func(c *Conn, turn *Turn, data string) {
		switch data {
		case "pause":
			c.Pause()
			paused.Add(1)
		case "slow":
			turn.Begin()
			<-release
			turn.End()
		case "gate":
			close(entered)
			<-gate
		case "x":
			got <- struct{}{}
		}
	})
	a, ac, _ := dial()
	b, bc, _ := dial()
	g, _, _ := dial()
	a.Write(messages("pause", "slow"))
	b.Write(messages("pause", "x"))
	until(func() bool { return paused.Load() == 2 })
	g.Write(messages("gate"))
	<-entered // the shard looks at neither before both have been resumed
	ac.Resume()
	bc.Resume()
	close(gate)
	defer close(release)
	select {
	case <-got:
	case <-time.After(5 * time.Second):
		t.Error("one is not read while the other works")
	}
}

// What a client sent before it hung up is handled, also when it was paused
// then, and takes long later.
func TestHungUpWhilePaused(t *testing.T) {
	const n = 1500
	var seen atomic.Int32
	paused := make(chan struct{})
	dial, _, _ := oneShard(t, Options{}, func(c *Conn, turn *Turn, data string) {
		switch data {
		case "pause":
			c.Pause()
			close(paused)
		case "slow":
			turn.Begin()
			until(turn.lost)
			turn.End()
		default:
			seen.Add(1)
		}
	})
	client, c, h := dial()
	client.Write(append(messages("pause", "slow"), bytes.Repeat(messages(strings.Repeat("m", 60)), n)...))
	<-paused
	until(func() bool { // a reset that comes before the bytes takes them away
		queued, _ := unsent(client)
		return queued == 0
	})
	client.Abort()
	until(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.gone
	})
	c.Resume()
	<-h.closed
	if got := seen.Load(); got != n {
		t.Errorf("%d of %d messages were handled", got, n)
	}
}

// unsent returns the bytes that the peer's kernel has not acknowledged.
func unsent(client *Client) (n int, err error) {
	raw, err := client.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	raw.Control(func(fd uintptr) { n, err = outq(int(fd)) })
	return n, err
}

// A descriptor that the server has given back is somebody else's.
func TestResumeAfterStop(t *testing.T) {
	paused := make(chan struct{})
	dial, srv, stop := oneShard(t, Options{}, func(c *Conn, _ *Turn, _ string) {
		c.Pause()
		close(paused)
	})
	client, c, _ := dial()
	client.Write(messages("x"))
	<-paused
	waker := srv.shards()[0].waker
	stop()
	file := fileAt(t, waker)
	c.Resume()
	if b, _ := os.ReadFile(file); len(b) > 0 {
		t.Errorf("%v was written into a file", b)
	}
}

// fileAt returns the name of an open file whose descriptor is fd.
func fileAt(t *testing.T, fd int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), strconv.Itoa(fd))
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close(); syscall.Close(fd) })
	if err := syscall.Dup2(int(f.Fd()), fd); err != nil {
		t.Fatal(err)
	}
	return name
}

// A client that sends many messages at once, none of which takes long, does
// not keep others waiting.
func TestBatchOfShortWork(t *testing.T) {
	const n, each = 10_000, 100 * time.Microsecond
	begun := make(chan struct{}, n)
	dial, _, _ := oneShard(t, Options{}, func(_ *Conn, turn *Turn, data string) {
		if data == "ping" {
			turn.Send(AppendFrame(nil, OpText, []byte("pong")))
			return
		}
		begun <- struct{}{}
		turn.Begin()
		for start := time.Now(); time.Since(start) < each; {
		}
		turn.End()
	})
	a, _, _ := dial()
	b, _, _ := dial()
	go a.Write(bytes.Repeat(messages("x"), n))
	<-begun
	start := time.Now()
	b.Write(messages("ping"))
	b.ReadMessage()
	if took := time.Since(start); took > n*each/4 {
		t.Errorf("another connection was answered after %v", took)
	}
}

// A hang-up that was meant for the connection which had the descriptor before
// does no harm.
func TestStaleHangUp(t *testing.T) {
	paused := make(chan struct{})
	handled := make(chan struct{})
	var victim *Conn
	dial, _, _ := oneShard(t, Options{}, func(c *Conn, turn *Turn, data string) {
		switch data {
		case "pause":
			c.Pause()
			close(paused)
		case "stale":
			r := &reader{Turn: turn, shard: c.shard}
			r.handleEvent(syscall.EpollEvent{Events: syscall.EPOLLHUP, Fd: int32(victim.fd), Pad: victim.serial - 1})
			r.hungUp(victim) // and if it did happen
		case "x":
			close(handled)
		}
	})
	a, ac, _ := dial()
	victim = ac
	b, _, _ := dial()
	a.Write(messages("pause"))
	<-paused
	b.Write(messages("stale"))
	until(func() bool {
		ac.mu.Lock()
		defer ac.mu.Unlock()
		return ac.gone
	})
	ac.Resume()
	b.Write(messages("x"))
	<-handled
}

// Who starts when the server has stopped is let go.
func TestStartAfterStop(t *testing.T) {
	for _, serve := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
		srv := NewServer(Options{})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { srv.Run(ctx); close(done) }()
		h := &script{closed: make(chan *CloseError, 1)}
		hs := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, buffered, err := srv.Upgrade(w, r, nil)
			if err != nil {
				t.Error(err)
				return
			}
			cancel()
			<-done
			c.Start(h, buffered)
		}))
		req, _ := http.NewRequest(http.MethodGet, hs.URL, nil)
		for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
			req.Header.Set(name, value)
		}
		go hs.Client().Transport.RoundTrip(req)
		<-h.closed
		hs.Close()
	}
}
