package websocket

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// A Handler receives what a client sends. Its methods are called one at a
// time, but for calls of Message overtaken inside [Turn.Work].
type Handler interface {
	// Message is called for each text or binary message in arrival order,
	// also while the connection is closing. data belongs to the connection
	// again when Message returns; t is valid as long.
	Message(c *Conn, t *Turn, op Opcode, data []byte)
	// Pong is called for each pong and, like any message, tells that the
	// client lives.
	Pong(c *Conn)
	// Closed is called once, after everything else.
	Closed(c *Conn, err *CloseError)
}

// A Conn is one WebSocket connection. Its methods may be called concurrently.
type Conn struct {
	srv *Server
	nc  net.Conn
	raw syscall.RawConn // nil where the kernel's socket is out of reach: TLS

	// Owned by the goroutine that reads.
	handler  Handler
	rest     []byte // the incomplete frame between two turns
	fragment []byte // the message so far, between its fragments
	fragOp   Opcode // its opcode, 0 when there is none

	mu            sync.Mutex
	out           outbox
	flushing      bool // a flusher goroutine owns the writing side
	closeWhenSent bool // nothing is expected from the client any more
	state         connState
	closeErr      *CloseError // why, once state is not stateOpen
	timer         *time.Timer // bounds the closing handshake
}

type connState uint8

const (
	stateOpen    connState = iota
	stateClosing           // a close frame is queued or sent; nothing follows it
	stateClosed            // the network connection is closed
)

// Start begins reading. It is called once, after whatever must be written
// before the first message is handled. buffered is what the HTTP server had
// already read of the client's bytes.
func (c *Conn) Start(h Handler, buffered []byte) {
	c.handler = h
	if len(buffered) > 0 {
		c.rest = append(c.rest, buffered...)
	}
	c.Flush()
	go c.readLoop()
}

// SetHandler directs further messages to h. It may only be called from
// within [Handler.Message].
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// RemoteAddr returns the address of the peer.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// Close starts the closing handshake: what is queued is still sent, then a
// close frame. The connection ends when the client answers, or after
// [Options.CloseTimeout].
func (c *Conn) Close(code Status, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(&CloseError{Code: code, Reason: reason})
}

// closeLocked queues the close frame that e describes and starts the clock.
func (c *Conn) closeLocked(e *CloseError) {
	if c.state != stateOpen {
		return
	}
	c.state = stateClosing
	c.closeErr = e
	c.out.share(appendClose(nil, e.Code, e.Reason))
	c.timer = time.AfterFunc(c.srv.opts.CloseTimeout, c.Abort)
	c.flushLocked()
}

// Abort closes the network connection at once.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked(&CloseError{Code: StatusAbnormal})
}

// abortLocked closes the socket. The reader finds out and calls Closed, so a
// write never calls back into its caller.
func (c *Conn) abortLocked(e *CloseError) {
	if c.state == stateClosed {
		return
	}
	if c.closeErr == nil {
		c.closeErr = e
	}
	c.state = stateClosed
	c.out.drop()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.nc.Close()
}

// ended closes the socket after the reader stopped with err and returns the
// reason to report.
func (c *Conn) ended(err *CloseError) *CloseError {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked(err)
	return c.closeErr
}
