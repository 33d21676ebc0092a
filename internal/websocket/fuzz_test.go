package websocket

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"unicode/utf8"
)

// trickle is a network connection on which a stream arrives in pieces.
type trickle struct {
	net.Conn
	stream []byte
	sizes  []byte // of the pieces, less one, over and over; none is all at once
	reads  int
	closed chan struct{}
	once   sync.Once
}

func (c *trickle) Read(b []byte) (int, error) {
	if len(c.stream) == 0 {
		return 0, io.EOF
	}
	n := len(c.stream)
	if len(c.sizes) > 0 {
		n = min(n, 1+int(c.sizes[c.reads%len(c.sizes)]))
		c.reads++
	}
	n = copy(b, c.stream[:n])
	c.stream = c.stream[n:]
	return n, nil
}

func (c *trickle) Write(b []byte) (int, error) { return len(b), nil }

func (c *trickle) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// transcript is what a connection told its handler.
type transcript struct {
	ops      []Opcode
	messages [][]byte
	pongs    int
	closed   chan *CloseError
}

func (l *transcript) Message(_ *Conn, _ *Turn, op Opcode, data []byte) {
	l.ops = append(l.ops, op)
	l.messages = append(l.messages, bytes.Clone(data))
}
func (l *transcript) Pong(*Conn, []byte)              { l.pongs++ }
func (l *transcript) Closed(_ *Conn, err *CloseError) { l.closed <- err }

// readAll returns what comes out of a stream, and how it ended.
func readAll(stream, sizes []byte, limit int) (*transcript, *CloseError) {
	l := &transcript{closed: make(chan *CloseError, 2)}
	network := &trickle{stream: bytes.Clone(stream), sizes: sizes, closed: make(chan struct{})}
	opts := Options{MaxMessage: limit}.withDefaults()
	c := &Conn{srv: &Server{opts: opts}, nc: network, out: outbox{limit: opts.SendLimit}}
	c.Start(l, nil)
	err := <-l.closed
	<-network.closed
	return l, err
}

// Whatever a client sends, what comes out does not depend on where the network
// cut it, and none of it is longer than allowed.
func FuzzRead(f *testing.F) {
	// Longer than a pooled buffer, which committed files need not be.
	long := AppendClientFrame(nil, OpBinary, make([]byte, 3*readSize))
	f.Add(append(long, AppendClientFrame(nil, OpText, []byte("after"))...), []byte{255, 0, 7}, uint16(60000))
	f.Fuzz(func(t *testing.T, stream, sizes []byte, limit uint16) {
		whole, end := readAll(stream, nil, 1+int(limit))
		for i, m := range whole.messages {
			if len(m) > 1+int(limit) {
				t.Errorf("message %d has %d bytes, the limit is %d", i, len(m), 1+int(limit))
			}
			if whole.ops[i] == OpText && !utf8.Valid(m) {
				t.Errorf("message %d is not UTF-8: %q", i, m)
			}
		}
		pieces, other := readAll(stream, sizes, 1+int(limit))
		if *end != *other {
			t.Errorf("closed with %v, in pieces with %v", end, other)
		}
		if len(whole.messages) != len(pieces.messages) || whole.pongs != pieces.pongs {
			t.Fatalf("%d messages and %d pongs, in pieces %d and %d", len(whole.messages), whole.pongs, len(pieces.messages), pieces.pongs)
		}
		for i := range whole.messages {
			if whole.ops[i] != pieces.ops[i] || !bytes.Equal(whole.messages[i], pieces.messages[i]) {
				t.Errorf("message %d is %q, in pieces %q", i, whole.messages[i], pieces.messages[i])
			}
		}
	})
}
