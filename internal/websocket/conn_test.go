package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// echo sends every message back and reports how the connection ended.
type echo struct {
	closed chan *CloseError
	work   func(op Opcode, data []byte) // run between Begin and End, when set
}

func newEcho() *echo { return &echo{closed: make(chan *CloseError, 1)} }

func (e *echo) Message(c *Conn, t *Turn, op Opcode, data []byte) {
	if e.work != nil {
		data = bytes.Clone(data)
		t.Begin()
		e.work(op, data)
		t.Send(AppendFrame(nil, op, data))
		t.End()
		return
	}
	c.Send(AppendFrame(nil, op, data))
}
func (e *echo) Pong(*Conn, []byte)              {}
func (e *echo) Closed(_ *Conn, err *CloseError) { e.closed <- err }

// peer is a client that can break every rule.
type peer struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

// dial starts a server with the given handler and connects a peer to it.
func dial(t *testing.T, opts Options, h Handler) *peer {
	t.Helper()
	p, _ := dialConn(t, opts, h)
	return p
}

func dialConn(t *testing.T, opts Options, h Handler) (*peer, *Conn) {
	t.Helper()
	return dialWith(t, opts, h, "")
}

// dialWith is dialConn with more lines in the handshake.
func dialWith(t *testing.T, opts Options, h Handler, header string) (*peer, *Conn) {
	t.Helper()
	return dialServer(t, opts, h, header, httptest.NewServer, net.Dial)
}

// dialTLS is dialConn for a connection that is encrypted, and so a stream.
func dialTLS(t *testing.T, opts Options, h Handler) (*peer, *Conn) {
	t.Helper()
	return dialServer(t, opts, h, "", httptest.NewTLSServer, func(network, addr string) (net.Conn, error) {
		return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true})
	})
}

func dialServer(t *testing.T, opts Options, h Handler, header string, serve func(http.Handler) *httptest.Server, dial func(network, addr string) (net.Conn, error)) (*peer, *Conn) {
	t.Helper()
	srv := NewServer(opts)
	var running sync.WaitGroup
	running.Go(func() { srv.Run(t.Context()) })
	conns := make(chan *Conn, 1)
	hs := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, buffered, err := srv.Upgrade(w, r, nil)
		if err == nil {
			c.Start(h, buffered)
			conns <- c
		}
	}))
	nc, err := dial("tcp", hs.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); hs.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+header+"\r\n")
	p := &peer{t, nc, bufio.NewReader(nc)}
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Header.Get("Sec-WebSocket-Accept"); res.StatusCode != 101 || got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake: %s, accept %q", res.Status, got)
	}
	return p, <-conns
}

// frame builds a client frame; first holds FIN, RSV and opcode.
func frame(first byte, payload string) []byte {
	b := appendHeader(nil, first, len(payload))
	b[1] |= maskBit
	key := []byte{0x11, 0x22, 0x33, 0x44}
	b = append(b, key...)
	masked := []byte(payload)
	unmask(masked, binary.LittleEndian.Uint32(key))
	return append(b, masked...)
}

func (p *peer) write(frames ...[]byte) {
	p.t.Helper()
	if _, err := p.Write(bytes.Join(frames, nil)); err != nil {
		p.t.Fatal(err)
	}
}

// read returns the opcode and payload of the server's next frame.
func (p *peer) read() (Opcode, string) {
	p.t.Helper()
	op, payload, err := p.next()
	if err != nil {
		p.t.Fatal(err)
	}
	return op, payload
}

func (p *peer) next() (Opcode, string, error) {
	var head [10]byte
	if _, err := io.ReadFull(p.r, head[:2]); err != nil {
		return 0, "", err
	}
	n := int(head[1])
	switch n {
	case 126:
		io.ReadFull(p.r, head[2:4])
		n = int(binary.BigEndian.Uint16(head[2:]))
	case 127:
		io.ReadFull(p.r, head[2:10])
		n = int(binary.BigEndian.Uint64(head[2:]))
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(p.r, payload)
	return Opcode(head[0] & 0xf), string(payload), err
}

const fin = finBit

func closeFrame(code Status, reason string) []byte {
	return frame(fin|byte(opClose), string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// until waits for what nothing signals. The package stands alone, so it has
// its own.
func until(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

func TestMessagesOfEverySize(t *testing.T) {
	for _, op := range []Opcode{OpText, OpBinary} {
		p := dial(t, Options{MaxMessage: 1 << 20}, newEcho())
		if op == OpBinary {
			p, _ = dialTLS(t, Options{MaxMessage: 1 << 20}, newEcho())
		}
		for _, n := range []int{0, 1, 125, 126, 127, readSize - 8, readSize, 65535, 65536, 1 << 20} {
			want := strings.Repeat("x", n)
			go p.Write(frame(fin|byte(op), want))
			if gotOp, got := p.read(); gotOp != op || got != want {
				t.Fatalf("op %d, %d bytes: got op %d, %d bytes", op, n, gotOp, len(got))
			}
		}
	}
}

func TestBytesArriveOneByOne(t *testing.T) {
	p := dial(t, Options{}, newEcho())
	all := append(frame(byte(OpText), "hel"), frame(fin|byte(opContinuation), "lo")...)
	all = append(all, frame(fin|byte(OpText), strings.Repeat("y", 300))...)
	for _, b := range all {
		p.write([]byte{b})
	}
	if _, got := p.read(); got != "hello" {
		t.Fatalf("got %q", got)
	}
	if _, got := p.read(); len(got) != 300 {
		t.Fatalf("got %d bytes", len(got))
	}
}

// TestStrictness holds the cases of RFC 6455 that a server must refuse or bear.
func TestStrictness(t *testing.T) {
	text, cont := byte(OpText), byte(opContinuation)
	unmasked := AppendFrame(nil, OpText, []byte("x"))
	long := strings.Repeat("x", 126)
	tests := []struct {
		name string
		in   []byte
		code Status // expected close code
	}{
		{"reserved bit 1", frame(fin|rsv1Bit|text, "x"), StatusProtocolError},
		{"reserved bit 2", frame(fin|0x20|text, "x"), StatusProtocolError},
		{"reserved bit 3", frame(fin|0x10|text, "x"), StatusProtocolError},
		{"reserved bit on ping", frame(fin|rsv1Bit|byte(opPing), ""), StatusProtocolError},
		{"reserved bit within fragments", append(frame(text, "x"), frame(fin|rsv1Bit|cont, "y")...), StatusProtocolError},
		{"not masked, a control frame", AppendFrame(nil, opPing, nil), StatusProtocolError},
		{"not masked, within fragments", append(frame(text, "x"), 0x80, 0), StatusProtocolError},
		{"not masked", unmasked, StatusProtocolError},
		{"opcode 3", frame(fin|3, ""), StatusProtocolError},
		{"opcode 7", frame(fin|7, ""), StatusProtocolError},
		{"opcode 11", frame(fin|11, ""), StatusProtocolError},
		{"opcode 15", frame(fin|15, ""), StatusProtocolError},
		{"long ping", frame(fin|byte(opPing), long), StatusProtocolError},
		{"long pong", frame(fin|byte(opPong), long), StatusProtocolError},
		{"long close", frame(fin|byte(opClose), long), StatusProtocolError},
		{"fragmented pong", frame(byte(opPong), "x"), StatusProtocolError},
		{"fragmented ping within fragments", append(frame(text, "x"), frame(byte(opPing), "y")...), StatusProtocolError},
		{"fragmented ping", frame(byte(opPing), "x"), StatusProtocolError},
		{"fragmented close", frame(byte(opClose), ""), StatusProtocolError},
		{"continuation first", frame(fin|cont, "x"), StatusProtocolError},
		{"open continuation first", frame(cont, "x"), StatusProtocolError},
		{"text within fragments", append(frame(text, "x"), frame(fin|text, "y")...), StatusProtocolError},
		{"binary within fragments", append(frame(text, "x"), frame(fin|byte(OpBinary), "y")...), StatusProtocolError},
		{"length beyond 63 bits", []byte{fin | text, maskBit | 127, 0xff, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, StatusProtocolError},
		{"bad UTF-8", frame(fin|text, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"), StatusInvalidPayload},
		{"bad UTF-8 across fragments", append(frame(text, "\xce"), frame(fin|cont, "x")...), StatusInvalidPayload},
		{"bad UTF-8 in the middle fragment", append(append(frame(text, "\xf0\x9f"), frame(cont, "\xff")...), frame(fin|cont, "\x80")...), StatusInvalidPayload},
		{"UTF-8 cut at the end", append(frame(text, "x"), frame(fin|cont, "\xf0\x9f\x98")...), StatusInvalidPayload},
		{"beyond Unicode", frame(fin|text, "\xf4\x90\x80\x80"), StatusInvalidPayload},
		{"overlong UTF-8", frame(fin|text, "\xc0\x80"), StatusInvalidPayload},
		{"too big", frame(fin|text, strings.Repeat("x", 2001)), StatusTooBig},
		{"too big in fragments", append(frame(text, strings.Repeat("x", 1500)), frame(fin|cont, strings.Repeat("x", 501))...), StatusTooBig},
		{"too big by its header alone", frame(fin|text, strings.Repeat("x", 70000))[:14], StatusTooBig},
		{"too big by the header of a fragment", append(frame(text, strings.Repeat("x", 1500)), frame(fin|cont, strings.Repeat("x", 501))[:8]...), StatusTooBig},
		{"close of one byte", frame(fin|byte(opClose), "x"), StatusProtocolError},
		{"close 0", closeFrame(0, ""), StatusProtocolError},
		{"close 999", closeFrame(999, ""), StatusProtocolError},
		{"close 1004", closeFrame(1004, ""), StatusProtocolError},
		{"close 1005", closeFrame(1005, ""), StatusProtocolError},
		{"close 1006", closeFrame(1006, ""), StatusProtocolError},
		{"close 1015", closeFrame(1015, ""), StatusProtocolError},
		{"close 1016", closeFrame(1016, ""), StatusProtocolError},
		{"close 1100", closeFrame(1100, ""), StatusProtocolError},
		{"close 2000", closeFrame(2000, ""), StatusProtocolError},
		{"close 65535", closeFrame(65535, ""), StatusProtocolError},
		{"close 2999", closeFrame(2999, ""), StatusProtocolError},
		{"close 5000", closeFrame(5000, ""), StatusProtocolError},
		{"close with bad UTF-8", closeFrame(1000, "\xff"), StatusInvalidPayload},
		{"close with UTF-8 cut at the end", closeFrame(1000, "\xf0\x9f"), StatusInvalidPayload},
		{"close 1000", closeFrame(1000, "bye"), StatusNormal},
		{"the longest close", closeFrame(1000, strings.Repeat("x", maxControl-2)), StatusNormal},
		{"close within fragments", append(frame(text, "x"), closeFrame(1000, "")...), StatusNormal},
		{"close 1002", closeFrame(1002, ""), StatusProtocolError},
		{"close 1007", closeFrame(1007, ""), StatusInvalidPayload},
		{"close 1011", closeFrame(1011, ""), StatusInternalError},
		{"close 1014", closeFrame(1014, ""), 1014},
		{"close 1001", closeFrame(1001, ""), StatusGoingAway},
		{"close 3000", closeFrame(3000, ""), 3000},
		{"close 4999", closeFrame(4999, ""), 4999},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newEcho()
			p := dial(t, Options{MaxMessage: 2000}, h)
			p.write(tt.in)
			op, payload := p.read()
			if op != opClose || len(payload) < 2 {
				t.Fatalf("got opcode %d %q, want a close frame", op, payload)
			}
			if got := Status(binary.BigEndian.Uint16([]byte(payload))); got != tt.code {
				t.Errorf("close code %d, want %d (%s)", got, tt.code, payload[2:])
			}
			p.Close()
			if e := <-h.closed; e.Code != tt.code {
				t.Errorf("Closed got %v", e)
			}
		})
	}
}

func TestControlFramesWithinFragments(t *testing.T) {
	p := dial(t, Options{}, newEcho())
	p.write(frame(byte(OpText), "he"), frame(fin|byte(opPing), "now"), frame(fin|byte(opPong), "unasked"), frame(fin|byte(opContinuation), "llo"))
	// The pong waits for the end of the read, the echo does not.
	got := map[Opcode]string{}
	for range 2 {
		op, payload := p.read()
		got[op] = payload
	}
	if got[opPong] != "now" || got[OpText] != "hello" {
		t.Fatalf("got %v", got)
	}
}

func TestCloseWithoutCode(t *testing.T) {
	h := newEcho()
	p := dial(t, Options{}, h)
	p.write(frame(fin|byte(opClose), ""))
	if op, payload := p.read(); op != opClose || payload != "" {
		t.Fatalf("got opcode %d %q", op, payload)
	}
	if _, _, err := p.next(); err != io.EOF {
		t.Fatalf("after the closing handshake: %v, want EOF", err)
	}
	if e := <-h.closed; e.Code != StatusNoStatus || !e.Remote {
		t.Errorf("Closed got %v", e)
	}
}

func TestServerCloses(t *testing.T) {
	h := newEcho()
	p, c := dialConn(t, Options{}, h)
	c.Send(AppendFrame(nil, OpText, []byte("last")))
	c.Close(4401, "token expired")
	if err := c.Send(AppendFrame(nil, OpText, []byte("late"))); err != ErrClosed {
		t.Errorf("Send after Close: %v", err)
	}
	if _, got := p.read(); got != "last" {
		t.Errorf("got %q", got)
	}
	if op, payload := p.read(); op != opClose || payload[2:] != "token expired" {
		t.Errorf("got opcode %d %q", op, payload)
	}
	p.write(closeFrame(4401, ""))
	if _, _, err := p.next(); err != io.EOF {
		t.Errorf("after the closing handshake: %v, want EOF", err)
	}
	if e := <-h.closed; e.Code != 4401 || e.Remote {
		t.Errorf("Closed got %v", e)
	}
}

func TestCloseTimesOut(t *testing.T) {
	h := newEcho()
	p, c := dialConn(t, Options{CloseTimeout: 20 * time.Millisecond}, h)
	c.Close(StatusGoingAway, "")
	p.read()
	if _, _, err := p.next(); err != io.EOF {
		t.Errorf("client that does not answer: %v, want EOF", err)
	}
	if e := <-h.closed; e.Code != StatusGoingAway {
		t.Errorf("Closed got %v", e)
	}
}

func TestClientGoesAway(t *testing.T) {
	h := newEcho()
	p := dial(t, Options{}, h)
	p.Close()
	if e := <-h.closed; e.Code != StatusAbnormal || e.Err == nil {
		t.Errorf("Closed got %v", e)
	}
}

// A client that does not read is cut at the limit, and learns why when it
// reads again.
func TestSlowReader(t *testing.T) {
	h := newEcho()
	p, c := dialConn(t, Options{SendLimit: 64 << 10}, h)
	shared := AppendFrame(nil, OpBinary, make([]byte, 4096))
	sent := 0
	for c.SendShared(shared) == nil {
		sent++
		if sent > 1<<20 {
			t.Fatal("the limit never came")
		}
	}
	if q := c.Queued(); q > 64<<10 {
		t.Errorf("%d bytes are still queued", q)
	}
	got := 0
	for {
		op, payload := p.read()
		if op == opClose {
			if Status(binary.BigEndian.Uint16([]byte(payload))) != StatusPolicyViolation || payload[2:] != ReasonSlow {
				t.Errorf("close %q", payload)
			}
			break
		}
		if len(payload) != 4096 {
			t.Fatalf("a frame of %d bytes: the stream was torn", len(payload))
		}
		got++
	}
	if got == 0 || got > sent {
		t.Errorf("%d of %d frames arrived before the close", got, sent)
	}
	p.write(closeFrame(StatusNormal, ""))
	if e := <-h.closed; e.Reason != ReasonSlow {
		t.Errorf("Closed got %v", e)
	}
}

// A frame larger than the limit ends nobody's connection, and neither does what
// comes while it leaves; a client that does not read is cut all the same.
func TestFramesBeyondTheLimit(t *testing.T) {
	for _, shared := range []bool{true, false} {
		for name, dial := range map[string]func(*testing.T, Options, Handler) (*peer, *Conn){"plain": dialConn, "tls": dialTLS} {
			h := newEcho()
			p, c := dial(t, Options{SendLimit: 64 << 10}, h)
			send := c.Send
			if shared {
				send = c.SendShared
			}
			var sizes []int
			must := func(size int) {
				t.Helper()
				sizes = append(sizes, size)
				if err := send(AppendFrame(nil, OpBinary, make([]byte, size))); err != nil {
					t.Fatalf("%s, shared %v: %d bytes: %v", name, shared, size, err)
				}
			}
			const large = 12 << 20 // more than the kernel takes
			must(large)
			must(1000)
			must(large)
			for range 60 {
				must(1000)
			}
			if err := send(AppendFrame(nil, OpBinary, make([]byte, large))); err == nil {
				t.Errorf("%s, shared %v: a third large frame was kept", name, shared)
			}
			op, payload := p.read()
			if op != OpBinary || len(payload) != large {
				t.Fatalf("opcode %d, %d bytes", op, len(payload))
			}
			for op != opClose {
				op, payload = p.read()
			}
			if payload[2:] != ReasonSlow {
				t.Errorf("close %q", payload)
			}

			// Who reads in between gets everything.
			p, c = dial(t, Options{SendLimit: 64 << 10}, newEcho())
			send, sizes = c.Send, nil
			if shared {
				send = c.SendShared
			}
			for _, size := range []int{1000, large, 2000, large, 3000} {
				must(size)
			}
			for _, size := range sizes {
				if op, payload := p.read(); op != OpBinary || len(payload) != size {
					t.Fatalf("opcode %d, %d bytes, want %d", op, len(payload), size)
				}
			}
			if c.Queued() != 0 {
				t.Errorf("%d bytes are queued", c.Queued())
			}
		}
	}
}

// Everything sent while the socket is full arrives, in order, whatever mix of
// shared and private frames it was.
func TestQueuedFramesKeepOrder(t *testing.T) {
	for _, dial := range []func(*testing.T, Options, Handler) (*peer, *Conn){dialConn, dialTLS} {
		p, c := dial(t, Options{SendLimit: 64 << 20}, newEcho())
		const n = 20000
		pad := strings.Repeat("z", 200)
		for i := range n {
			f := AppendFrame(nil, OpText, binary.BigEndian.AppendUint32([]byte(pad[:i%200]), uint32(i)))
			var err error
			if i%3 == 0 {
				err = c.SendShared(f)
			} else {
				err = c.Send(f)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			_, payload := p.read()
			if got := binary.BigEndian.Uint32([]byte(payload)[i%200:]); got != uint32(i) {
				t.Fatalf("frame %d is number %d", i, got)
			}
		}
	}
}

// Many may send while the network takes what was queued: the end of one and
// the beginning of the other are decided in one step.
func TestSendersMeetTheEndOfAQueue(t *testing.T) {
	for _, dial := range []func(*testing.T, Options, Handler) (*peer, *Conn){dialConn, dialTLS} {
		p, c := dial(t, Options{SendLimit: 1 << 30}, newEcho())
		const senders, each = 8, 2000
		payload := make([]byte, 2000)
		var all sync.WaitGroup
		for range senders {
			all.Go(func() {
				for range each {
					c.Send(AppendFrame(nil, OpBinary, payload))
				}
			})
		}
		for range senders * each {
			if op, got := p.read(); op != OpBinary || len(got) != len(payload) {
				t.Fatalf("opcode %d, %d bytes: the stream was torn", op, len(got))
			}
		}
		all.Wait()
		if err := c.Drain(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// pauser pauses at every message and passes it on.
type pauser struct{ messages, closed chan string }

func (h *pauser) Message(c *Conn, _ *Turn, _ Opcode, data []byte) {
	c.Pause()
	h.messages <- string(data)
}
func (h *pauser) Pong(*Conn, []byte)        {}
func (h *pauser) Closed(*Conn, *CloseError) { close(h.closed) }

// What a paused connection has sent waits, also when the client has gone
// meanwhile.
func TestPause(t *testing.T) {
	for _, dial := range []func(*testing.T, Options, Handler) (*peer, *Conn){dialConn, dialTLS} {
		h := &pauser{make(chan string, 1), make(chan string)}
		p, c := dial(t, Options{}, h)
		p.write(frame(fin|byte(OpText), "1"), frame(fin|byte(OpText), "2"))
		p.write(frame(fin|byte(OpText), "3"))
		p.Close()
		for _, want := range []string{"1", "2", "3"} {
			if got := <-h.messages; got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			select {
			case got := <-h.messages:
				t.Fatalf("%q came while the connection was paused", got)
			case <-h.closed:
				t.Fatal("closed before everything was handled")
			default:
			}
			c.Resume()
		}
		<-h.closed
	}
}

// A client that has been told to go is not listened to any more.
func TestNothingIsHandledAfterClose(t *testing.T) {
	h := newEcho()
	h.work = func(_ Opcode, data []byte) { t.Errorf("%q was handled", data) }
	p, c := dialConn(t, Options{}, h)
	c.Close(StatusGoingAway, "")
	p.write(frame(fin|byte(OpText), "late"), closeFrame(StatusGoingAway, ""))
	<-h.closed
}

// A reply leaves when it has waited for a tick, however many follow.
func TestRepliesDoNotWaitForWhatFollows(t *testing.T) {
	const n = 102
	h := newEcho()
	queued := make(chan int, 1)
	var c *Conn
	h.work = func(_ Opcode, data []byte) {
		switch string(data) {
		case "slow": // the reply to the quick one before it waits meanwhile
			begun := c.srv.watch.tick.Load()
			until(func() bool { return c.srv.watch.tick.Load() > begun })
		case "last":
			queued <- c.Queued()
		}
	}
	var p *peer
	p, c = dialConn(t, Options{HandoverAfter: 2 * time.Millisecond}, h)
	var in []byte
	for range n / 2 {
		in = append(in, frame(fin|byte(OpText), "quick")...)
		in = append(in, frame(fin|byte(OpText), "slow")...)
	}
	p.write(append(in, frame(fin|byte(OpText), "last")...))
	for range n + 1 {
		p.read()
	}
	if got := <-queued; got > len(AppendFrame(nil, OpText, []byte("slow"))) {
		t.Errorf("%d bytes of replies waited for the last message", got)
	}
}

// Whoever still is connected when the server stops is let go.
func TestStop(t *testing.T) {
	srv := NewServer(Options{})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- srv.Run(ctx) }()
	h := newEcho()
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, buffered, err := srv.Upgrade(w, r, nil); err == nil {
			c.Start(h, buffered)
		}
	}))
	defer hs.Close()
	c, _, err := Dial(t.Context(), hs.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.WriteMessage(OpText, []byte("x"))
	if _, got, err := c.ReadMessage(); string(got) != "x" {
		t.Fatal(err)
	}
	cancel()
	<-stopped
	<-h.closed
	if _, _, err := c.ReadMessage(); err == nil {
		t.Error("the connection is still there")
	}
}

// While one message is being worked on, later ones and pings are seen, and
// every reply still arrives.
func TestSlowWorkIsOvertaken(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	seen := []string{}
	h := newEcho()
	h.work = func(_ Opcode, data []byte) {
		mu.Lock()
		seen = append(seen, string(data))
		mu.Unlock()
		if string(data) == "slow" {
			<-release
		}
	}
	p := dial(t, Options{HandoverAfter: time.Millisecond}, h)
	p.write(frame(fin|byte(OpText), "slow"), frame(fin|byte(OpText), "fast"), frame(fin|byte(opPing), "alive?"))
	got := map[string]bool{}
	for range 2 {
		_, payload := p.read()
		got[payload] = true
	}
	if !got["fast"] || !got["alive?"] {
		t.Fatalf("while slow work ran: %v", got)
	}
	close(release)
	if _, payload := p.read(); payload != "slow" {
		t.Fatalf("got %q", payload)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 2 || seen[0] != "slow" {
		t.Errorf("messages were taken in as %q", seen)
	}
}

func TestRepliesOfOneReadLeaveTogether(t *testing.T) {
	h := newEcho()
	h.work = func(Opcode, []byte) {}
	p := dial(t, Options{}, h)
	var in []byte
	for range 100 {
		in = append(in, frame(fin|byte(OpText), "x")...)
	}
	p.write(in)
	for range 100 {
		p.read()
	}
}

func TestBadHandshakes(t *testing.T) {
	srv := NewServer(Options{})
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, _, err := srv.Upgrade(w, r, nil); err == nil {
			c.Abort()
		}
	}))
	defer hs.Close()
	good := map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	}
	tests := []struct {
		header, value string
		status        int
	}{
		{"Connection", "keep-alive", 426},
		{"Upgrade", "h2c", 426},
		{"Sec-WebSocket-Version", "8", 426},
		{"Sec-WebSocket-Key", "short", 400},
		{"Sec-WebSocket-Key", "", 400},
	}
	for _, tt := range tests {
		req, _ := http.NewRequest("GET", hs.URL, nil)
		for k, v := range good {
			req.Header.Set(k, v)
		}
		req.Header.Set(tt.header, tt.value)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != tt.status {
			t.Errorf("%s: %s: status %d, want %d", tt.header, tt.value, res.StatusCode, tt.status)
		}
	}
}

// lastWord is an echo that has something to say when a message is too long, and
// says it from elsewhere and later.
type lastWord struct {
	*echo
	say chan struct{}
}

func (h lastWord) TooBig(c *Conn) {
	go func() {
		<-h.say
		c.Send(AppendFrame(nil, OpText, []byte("too long")))
		c.Close(StatusTooBig, ReasonTooBig)
	}()
}

// The handler closes because of a message that is too long, when it likes. What
// is left of the message, and messages after it, are not handled; pings and the
// closing handshake are.
func TestHandlerClosesBecauseOfLongMessage(t *testing.T) {
	const text, cont = byte(OpText), byte(opContinuation)
	for kind, dial := range map[string]func(*testing.T, Options, Handler) (*peer, *Conn){"socket": dialConn, "stream": dialTLS} {
		for name, long := range map[string][]byte{
			"a frame":     frame(fin|text, strings.Repeat("x", 70000)),
			"empty ends":  append(frame(text, strings.Repeat("x", 2001)), frame(fin|cont, "")...),
			"fragments":   append(append(frame(text, strings.Repeat("x", 1500)), frame(cont, strings.Repeat("x", 501))...), frame(fin|cont, "x")...),
			"many of one": bytes.Repeat(frame(fin|text, strings.Repeat("x", 2001)), 3),
		} {
			h := lastWord{newEcho(), make(chan struct{})}
			p, _ := dial(t, Options{MaxMessage: 2000, CloseTimeout: time.Minute}, h)
			p.write(frame(fin|text, "before"), long[:30])
			if op, got := p.read(); op != OpText || got != "before" {
				t.Errorf("%s, %s: opcode %d %.20q", kind, name, op, got)
			}
			p.write(long[30:], frame(fin|text, "after"), frame(fin|byte(opPing), "there?"))
			if op, got := p.read(); op != opPong || got != "there?" {
				t.Errorf("%s, %s: opcode %d %.20q", kind, name, op, got)
			}
			close(h.say)
			if op, got := p.read(); op != OpText || got != "too long" {
				t.Errorf("%s, %s: opcode %d %.20q", kind, name, op, got)
			}
			if op, got := p.read(); op != opClose || got[:2] != "\x03\xf1" {
				t.Errorf("%s, %s: opcode %d %.20q", kind, name, op, got)
			}
			p.write(closeFrame(StatusTooBig, ""))
			if _, _, err := p.next(); err != io.EOF {
				t.Errorf("%s, %s: after the closing handshake: %v", kind, name, err)
			}
			if e := <-h.closed; e.Code != StatusTooBig || e.Remote {
				t.Errorf("%s, %s: %v", kind, name, e)
			}
		}
	}
}
