package websocket

import (
	"bytes"
	"context"
	"errors"
)

// ErrClosed is returned by writes to a connection that is closing or closed.
var ErrClosed = errors.New("websocket: connection is closed")

// Send writes whole frames, made by [AppendFrame], after everything queued
// before. It never blocks and does not keep frames.
func (c *Conn) Send(frames []byte) error { return c.send(frames, false) }

// SendShared is Send for frames that go to many connections: they are kept
// by reference while they wait, so they must never change.
func (c *Conn) SendShared(frames []byte) error { return c.send(frames, true) }

func (c *Conn) send(frames []byte, shared bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ErrClosed
	}
	if c.out.empty() && !c.blocked && c.nc == nil {
		n, err := c.write(frames)
		if err != nil {
			c.abortLocked(&CloseError{Code: StatusAbnormal, Err: err})
			return ErrClosed
		}
		if n < len(frames) {
			c.out.begin(frames, n, shared)
			c.blockLocked()
		}
		return nil
	}
	if err := c.queueLocked(frames, shared); err != nil {
		return err
	}
	c.flushLocked()
	return nil
}

// queueLocked puts frames behind what waits, if the limit allows it.
func (c *Conn) queueLocked(frames []byte, shared bool) error {
	if err := c.limitLocked(len(frames)); err != nil {
		return err
	}
	switch {
	case !shared && c.out.isLarge(len(frames)): // a frame of its own, so that it is known when it leaves
		frames = bytes.Clone(frames)
		fallthrough
	case shared:
		c.out.share(frames)
	default:
		c.out.copy(frames)
	}
	return nil
}

// deferSend queues frames without writing them.
func (c *Conn) deferSend(frames []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ErrClosed
	}
	return c.queueLocked(frames, false)
}

// Flush writes what is queued, such as the answer to the handshake before
// anything has been sent.
func (c *Conn) Flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flushLocked()
}

// Writable reports whether a message sent now would reach the kernel without
// waiting behind others.
func (c *Conn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == stateOpen && c.out.empty()
}

// Queued returns the bytes that wait to be written.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.size
}

// Drain waits until nothing is queued, and returns ErrClosed if the
// connection ends before. Between large messages it keeps a client that reads
// slowly, but does read, below the limit.
func (c *Conn) Drain(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.state != stateOpen {
			c.mu.Unlock()
			return ErrClosed
		}
		if c.out.empty() {
			c.mu.Unlock()
			return nil
		}
		if c.drained == nil {
			c.drained = make(chan struct{})
		}
		drained := c.drained
		c.flushLocked()
		c.mu.Unlock()
		select {
		case <-drained:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Conn) tellDrainedLocked() {
	if c.drained != nil {
		close(c.drained)
		c.drained = nil
	}
}

// Ping sends a WebSocket ping. Its payload, of at most 125 bytes, comes back
// with the pong.
func (c *Conn) Ping(payload []byte) error {
	if len(payload) == 0 {
		return c.SendShared(pingFrame)
	}
	return c.Send(AppendFrame(nil, opPing, payload))
}

var pingFrame = AppendHeader(nil, opPing, 0)

// limitLocked closes the connection when n more bytes are too many. The
// client has had its chance: what has not begun to leave is dropped. A message
// larger than the limit does not count: it would end the connections of all who
// are a little behind, and of all who get anything while it leaves. Two such may
// always be there, and several may wait if they are not larger than largeLimits
// together.
func (c *Conn) limitLocked(n int) error {
	if c.fits(n) {
		return nil
	}
	if !c.blocked { // it has not been tried yet
		c.flushLocked()
		if c.state != stateOpen {
			return ErrClosed
		}
		if c.fits(n) {
			return nil
		}
	}
	c.out.drop()
	c.closeLocked(&CloseError{Code: StatusPolicyViolation, Reason: ReasonSlow})
	return ErrClosed
}

// largeLimits is how often the limit large frames that wait may come to.
const largeLimits = 8

func (c *Conn) fits(n int) bool {
	if c.out.isLarge(n) {
		return c.out.hasRoom(n)
	}
	return c.out.counted()+n <= c.out.limit
}

// flushLocked writes what the network takes and sees to it that somebody
// writes the rest when it takes more.
func (c *Conn) flushLocked() {
	if c.blocked || c.state == stateClosed {
		return
	}
	if c.nc != nil && !c.out.empty() {
		c.blocked = true
		go c.writeStream()
		return
	}
	for !c.out.empty() {
		head := c.out.next()
		n, err := c.write(head)
		if err != nil {
			c.abortLocked(&CloseError{Code: StatusAbnormal, Err: err})
			return
		}
		c.out.wrote(n)
		if n < len(head) {
			c.blockLocked()
			return
		}
	}
	c.sentLocked()
}

// blockLocked waits for the network to take more.
func (c *Conn) blockLocked() {
	c.blocked = true
	c.armLocked()
}

// unblock is called when it does.
func (c *Conn) unblock() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocked = false
	c.flushLocked()
	c.armLocked()
}

// sentLocked is called when nothing is queued any more.
func (c *Conn) sentLocked() {
	c.tellDrainedLocked()
	if c.closeWhenSent {
		c.abortLocked(nil)
	}
}
