package engineio

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/roomcast/roomcast/internal/websocket"
)

// ErrClosed is returned by sends on a connection that has ended or is ending.
var ErrClosed = websocket.ErrClosed

// A Conn is one Engine.IO connection. Its methods may be called concurrently.
type Conn struct {
	srv    *Server
	id     string
	remote string
	proto  uint8
	silent bool // guarded by the server's mutex
	beat   beat

	// ws is the WebSocket once there is one; until then poll is used.
	ws atomic.Pointer[websocket.Conn]

	// session is set once, before the client can send anything.
	session Session

	mu     sync.Mutex
	poll   *polling      // nil once on WebSocket
	holds  int           // reasons not to take in messages
	freed  chan struct{} // closed when there are none any more, if a POST waits
	closed bool          // no more output; set before the session is told
	taking bool          // a POST is in the middle of a message
	over   bool          // the connection has ended, perhaps before it had a session
	told   bool          // the session knows
	reason Reason        // why, once closed
}

// ID returns the connection's secret id.
func (c *Conn) ID() string { return c.id }

// Protocol returns the Engine.IO protocol that the client speaks: 3 or 4.
func (c *Conn) Protocol() int { return int(c.proto) }

// RemoteAddr returns the address and port that the handshake came from.
func (c *Conn) RemoteAddr() string { return c.remote }

// RemoteIP returns the address that the handshake came from.
func (c *Conn) RemoteIP() string {
	host, _, err := net.SplitHostPort(c.remote)
	if err != nil {
		return c.remote
	}
	return host
}

// Transport returns "polling" or "websocket".
func (c *Conn) Transport() string {
	if c.ws.Load() != nil {
		return "websocket"
	}
	return "polling"
}

// Uncount leaves the connection out of the numbers of the server: it is not a
// client's.
func (c *Conn) Uncount() {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if !c.silent && c.srv.conns[c.id] == c {
		c.silent = true
		c.srv.silent++
		c.srv.opened--
	}
}

// Open reports whether output is still accepted.
func (c *Conn) Open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed
}

// Writable reports whether a message sent now would leave at once.
func (c *Conn) Writable() bool {
	if ws := c.ws.Load(); ws != nil {
		return ws.Writable()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.poll != nil && c.poll.waiting && c.poll.size == 0
}

// Queued returns the bytes of output that the client has not fetched.
func (c *Conn) Queued() int {
	if ws := c.ws.Load(); ws != nil {
		return ws.Queued()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.poll == nil {
		return 0
	}
	return c.poll.size
}

// Send sends a message that others get too. It never blocks.
func (c *Conn) Send(f Frame) error {
	frame := f.ws
	ws := c.ws.Load()
	switch {
	case c.proto == 3:
		frame = f.forProtocol3()
	case ws != nil && ws.Compressed():
		frame = f.deflated()
	}
	if ws != nil {
		return ws.SendShared(frame)
	}
	return c.sendFrame(frame)
}

// SendVolatile sends a message that the client can do without: it is dropped,
// and counted, unless it can leave at once.
func (c *Conn) SendVolatile(f Frame) error {
	if !c.Writable() {
		c.srv.dropped.Add(1)
		return nil
	}
	return c.Send(f)
}

// Reply sends a text message to this client alone. It never blocks. Within
// [Session.Message] t is the turn, and the replies of one turn leave together; else
// it is nil.
func (c *Conn) Reply(t *Turn, text []byte) error {
	ws := c.ws.Load()
	if ws == nil {
		return c.sendFrame(appendText(nil, text))
	}
	scratch := replies.Get().(*[]byte)
	frame := appendText((*scratch)[:0], text)
	if cap(frame) <= maxScratch {
		*scratch = frame
		defer replies.Put(scratch)
	}
	if ws.Compressed() && c.proto == 4 {
		frame = websocket.Deflate(frame)
	}
	if t == nil {
		return ws.Send(frame)
	}
	return t.Send(frame)
}

// replies holds buffers in which a reply is framed before it is copied to
// where it waits.
var replies = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 64 << 10

// sendPacket sends a control packet.
func (c *Conn) sendPacket(frame []byte) error {
	if ws := c.ws.Load(); ws != nil {
		return ws.SendShared(frame)
	}
	return c.sendFrame(frame)
}

// sendFrame sends a frame when the transport was polling a moment ago.
func (c *Conn) sendFrame(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case c.poll == nil:
		return c.ws.Load().SendShared(frame)
	}
	if !c.poll.fits(len(frame), c.srv.opts.SendLimit) {
		c.closeLocked(ReasonSlow)
		return ErrClosed
	}
	c.pendLocked(frame)
	return nil
}

// Go runs fn on a goroutine of its own, which [Server.Close] waits for.
func (c *Conn) Go(fn func()) {
	c.srv.work.add()
	go func() {
		defer c.srv.work.done()
		fn()
	}()
}

// Busy makes [Server.Close] wait for a call of Done.
func (c *Conn) Busy() { c.srv.work.add() }

// Done is the end of Busy.
func (c *Conn) Done() { c.srv.work.done() }

// Hold stops taking in messages, after the current one, until as many calls
// of Release: what the client sends waits in the network, and it is not
// expected to answer pings, which nobody would hear. Called from elsewhere than
// within [Session.Message], it may come too late for one message: that is still
// taken in after Hold has returned.
func (c *Conn) Hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds++
	if ws := c.ws.Load(); ws != nil && c.holds == 1 {
		ws.Pause()
	}
	c.beat.stalled.Store(true)
}

// Answering reports whether the client is expected to answer pings.
func (c *Conn) Answering() bool { return !c.beat.stalled.Load() }

// Release ends one Hold.
func (c *Conn) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds--
	if c.holds > 0 {
		return
	}
	c.beat.seen.Store(c.srv.wheel.now.Load())
	c.beat.stalled.Store(false)
	if ws := c.ws.Load(); ws != nil {
		ws.Resume()
	}
	c.freeLocked()
}

// freeLocked lets the POST go on that waits for holds to end.
func (c *Conn) freeLocked() {
	if c.freed != nil {
		close(c.freed)
		c.freed = nil
	}
}

// await returns when messages are taken in again, and reports whether the
// connection is still there to do so.
func (c *Conn) await(ctx context.Context) bool {
	for {
		c.mu.Lock()
		if c.closed || c.holds == 0 {
			open := !c.closed
			c.mu.Unlock()
			return open
		}
		if c.freed == nil {
			c.freed = make(chan struct{})
		}
		freed := c.freed
		c.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// Drain waits until the client has fetched what was sent, and returns
// ErrClosed if the connection ends before.
func (c *Conn) Drain(ctx context.Context) error {
	for {
		if ws := c.ws.Load(); ws != nil {
			return ws.Drain(ctx)
		}
		c.mu.Lock()
		p := c.poll
		switch {
		case p == nil:
			c.mu.Unlock()
			continue
		case c.closed:
			c.mu.Unlock()
			return ErrClosed
		case p.size == 0:
			c.mu.Unlock()
			return nil
		}
		if p.fetched == nil {
			p.fetched = make(chan struct{})
		}
		fetched := p.fetched
		c.mu.Unlock()
		select {
		case <-fetched:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends the connection after sending what is queued. The session is
// told on another goroutine.
func (c *Conn) Close(reason Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeLocked(reason)
}

// closeLocked stops output and starts the end that suits the transport.
func (c *Conn) closeLocked(reason Reason) {
	if c.closed {
		return
	}
	c.closed, c.reason = true, reason
	c.freeLocked()
	if ws := c.ws.Load(); ws != nil {
		ws.Close(closeCode(reason), string(reason))
		return
	}
	broken := reason == ReasonParseError || reason == ReasonTooBig || reason == ReasonTransportError
	if broken || reason == ReasonSlow {
		c.poll.drop()
	}
	// Who breaks the protocol learns it from the answer to the request.
	if !broken || c.poll.waiting {
		c.pendLocked(closeFrame)
	}
	go c.end(reason)
}

// closeCode is the code of the close frame that goes with a reason.
func closeCode(reason Reason) websocket.Status {
	switch reason {
	case ReasonShutdown:
		return websocket.StatusGoingAway
	case ReasonParseError:
		return websocket.StatusProtocolError
	case ReasonTooBig:
		return websocket.StatusTooBig
	case ReasonSlow:
		return websocket.StatusPolicyViolation
	}
	return websocket.StatusNormal
}

// Abort ends the connection without a word: its client is not listening. The
// session is told on another goroutine.
func (c *Conn) Abort(reason Reason) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed, c.reason = true, reason
	c.freeLocked()
	ws := c.ws.Load()
	if ws == nil {
		c.poll.drop()
		go c.end(reason)
	}
	c.mu.Unlock()
	if ws != nil {
		ws.Abort() // its reader calls end
	}
}

// opened gives the connection its session.
func (c *Conn) opened(session Session) {
	c.mu.Lock()
	c.session = session
	over := c.over
	c.mu.Unlock()
	if over {
		c.end(ReasonForcedClose)
	}
}

// end forgets the connection and tells the session, once. reason is used if
// nobody gave one before.
func (c *Conn) end(reason Reason) {
	c.mu.Lock()
	if !c.closed {
		c.closed, c.reason = true, reason
		c.freeLocked()
		if c.poll != nil { // the client closed: it may have a GET under way
			c.poll.noop = true
		}
	}
	if c.poll != nil {
		c.poll.signal()
		c.poll.tellFetched()
	}
	c.over = true
	c.mu.Unlock()
	c.tell()
}

// tell tells the session that the connection is over, when it is, and no
// message is being taken in.
func (c *Conn) tell() {
	c.mu.Lock()
	tell := c.over && !c.taking && c.session != nil && !c.told
	c.told = c.told || tell
	farewell := c.poll != nil && !c.poll.waiting && (c.poll.noop || c.poll.size > 0)
	reason := c.reason
	c.mu.Unlock()
	if !tell {
		return
	}
	c.srv.forget(c, reason, farewell)
	c.session.Closed(reason)
	c.srv.sessions.done()
}

// take handles a packet of a POST and reports whether it was legal. Closed does
// not come before it, nor a packet after Closed.
func (c *Conn) take(p packet) bool {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return true
	}
	c.taking = true
	c.mu.Unlock()
	legal := c.packet(nil, p)
	c.mu.Lock()
	c.taking = false
	c.mu.Unlock()
	c.tell()
	return legal
}

// packet handles one packet of the client and reports whether it was legal.
func (c *Conn) packet(t *Turn, p packet) bool {
	c.beat.seen.Store(c.srv.wheel.now.Load())
	switch p.kind {
	case packetMessage:
		c.session.Message(t, p.data, p.binary)
	case packetPong:
		return c.proto == 4
	case packetPing:
		if c.proto == 4 {
			return false
		}
		c.sendPacket(control(packetPong, string(p.data)))
	case packetClose:
		c.end(ReasonTransportClose)
	case packetNoop, packetUpgrade:
	default:
		return false
	}
	return true
}
