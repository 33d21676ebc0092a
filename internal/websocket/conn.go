package websocket

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Handler receives what a client sends. Its methods are called one at a
// time, but for calls of Message overtaken between [Turn.Begin] and
// [Turn.End].
type Handler interface {
	// Message is called for each text or binary message in arrival order.
	// data belongs to the connection again when Message returns; t is valid
	// as long.
	Message(c *Conn, t *Turn, op Opcode, data []byte)
	// Pong is called for each pong and, like any message, tells that the
	// client lives. payload is that of the ping which is answered, and belongs
	// to the connection again when Pong returns.
	Pong(c *Conn, payload []byte)
	// Closed is called once, after every call of Message has begun.
	Closed(c *Conn, err *CloseError)
}

// A TooBigHandler is a [Handler] that closes a connection itself, with
// [StatusTooBig], because of a message that is too long by its header: it may
// have something to say before. TooBig is called once; that message and all
// that follow are dropped.
type TooBigHandler interface {
	TooBig(c *Conn)
}

// A Conn is one WebSocket connection. Its methods may be called concurrently.
type Conn struct {
	srv *Server
	// A connection is read by a shard, which many share, or as a stream, by a
	// goroutine of its own: where it is encrypted, or the system has no epoll.
	socket
	nc         net.Conn // of a stream, nil otherwise
	compressed bool     // permessage-deflate has been agreed on

	// Owned by whoever reads.
	handler  Handler
	rest     []byte // bytes read but not handled: an incomplete frame, or what a pause held back
	fragment []byte // the message so far, between its fragments
	fragOp   Opcode // its opcode, 0 when there is none
	fragZip  bool   // it is compressed
	deaf     bool   // messages are dropped: the handler was told of one that is too long
	skip     int    // bytes still to come of one that is dropped
	refused  bool   // the client has broken the protocol, or closed: nothing more is handled
	told     bool   // Closed has been called
	paused   atomic.Bool
	shut     atomic.Bool // messages are no longer handled: state is not stateOpen

	mu            sync.Mutex
	out           outbox
	blocked       bool // the network takes nothing: somebody is waiting for it to
	started       bool
	closeWhenSent bool // nothing is expected from the client any more
	state         connState
	closeErr      *CloseError   // why, once state is not stateOpen
	timer         *time.Timer   // bounds the closing handshake
	drained       chan struct{} // closed when nothing is queued, if anyone waits
	resumed       *sync.Cond    // of a stream that was paused
}

type connState uint8

const (
	stateOpen    connState = iota
	stateClosing           // a close frame is queued or sent; nothing follows it
	stateClosed            // the network connection is shut down
)

// Start begins reading. It is called once, after whatever must be written
// before the first message is handled. buffered is what the HTTP server had
// already read of the client's bytes.
func (c *Conn) Start(h Handler, buffered []byte) {
	c.handler = h
	if len(buffered) > 0 {
		c.rest = append(c.rest, buffered...)
	}
	c.mu.Lock()
	c.started = true
	c.flushLocked()
	c.mu.Unlock()
	if c.nc == nil {
		c.shard.add(c)
	} else {
		c.srv.streams.start(c)
	}
}

// SetHandler directs further messages to h. It may only be called from
// within [Handler.Message].
func (c *Conn) SetHandler(h Handler) { c.handler = h }

// Compressed reports whether the client takes frames made by [Deflate].
func (c *Conn) Compressed() bool { return c.compressed }

// Pause stops reading after the current message, until [Conn.Resume]: what
// the client sends then waits in the network. Called from elsewhere than within
// [Handler.Message], or between Begin and End, it may come too late for one
// message: that is still handled after Pause has returned.
func (c *Conn) Pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused.Store(true)
	c.armLocked()
}

// Resume goes on reading.
func (c *Conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resumeLocked()
}

func (c *Conn) resumeLocked() {
	switch {
	case !c.paused.Swap(false):
	case c.nc == nil:
		c.armLocked()
		c.shard.wake(c)
	case c.resumed != nil:
		c.resumed.Broadcast()
	}
}

// Close starts the closing handshake: what is queued is still sent, then a
// close frame; messages of the client are no longer handled. The connection
// ends when the client answers, or after [Options.CloseTimeout].
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
	c.shut.Store(true)
	c.closeErr = e
	c.out.share(appendClose(nil, e.Code, e.Reason))
	c.timer = time.AfterFunc(c.srv.opts.CloseTimeout, c.Abort)
	c.flushLocked()
	c.resumeLocked() // the answer must be seen
}

// Abort closes the network connection at once.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked(&CloseError{Code: StatusAbnormal})
}

// abortLocked ends both directions. Whoever reads finds out, calls Closed and
// gives the descriptor back, so a write never calls back into its caller.
func (c *Conn) abortLocked(e *CloseError) {
	if c.state == stateClosed {
		return
	}
	if c.closeErr == nil {
		c.closeErr = e
	}
	c.state = stateClosed
	c.shut.Store(true)
	c.out.drop()
	c.tellDrainedLocked()
	if c.timer != nil {
		c.timer.Stop()
	}
	switch {
	case c.nc != nil:
		go c.nc.Close() // one that is encrypted says goodbye, which may take long
		if c.resumed != nil {
			c.resumed.Broadcast()
		}
	case c.started:
		c.shutdown()
	default:
		c.release()
	}
}

// ended tells the handler that the connection is over, once. err is the
// reason unless there was one before.
func (c *Conn) ended(err *CloseError) {
	c.mu.Lock()
	c.abortLocked(err)
	reason := c.closeErr
	c.mu.Unlock()
	c.tell(reason)
}

func (c *Conn) tell(reason *CloseError) {
	if !c.told {
		c.told = true
		c.handler.Closed(c, reason)
	}
}
