package websocket

import (
	"errors"
	"io"
	"sync"
	"syscall"
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
	if c.out.empty() && c.raw != nil {
		n, err := c.tryWrite(frames)
		if err != nil {
			c.abortLocked(&CloseError{Code: StatusAbnormal, Err: err})
			return ErrClosed
		}
		if n < len(frames) {
			c.out.begin(frames, n, shared)
			c.startFlusherLocked()
		}
		return nil
	}
	if err := c.limitLocked(len(frames)); err != nil {
		return err
	}
	if shared {
		c.out.share(frames)
	} else {
		c.out.copy(frames)
	}
	c.flushLocked()
	return nil
}

// deferSend queues frames without writing them.
func (c *Conn) deferSend(frames []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != stateOpen {
		return ErrClosed
	}
	if err := c.limitLocked(len(frames)); err != nil {
		return err
	}
	c.out.copy(frames)
	return nil
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

// Ping sends a WebSocket ping without payload.
func (c *Conn) Ping() error { return c.SendShared(pingFrame) }

var pingFrame = AppendHeader(nil, opPing, 0)

// limitLocked closes the connection when n more bytes are too many. The
// client has had its chance: what has not begun to leave is dropped. One
// message alone is never too many, whatever its size.
func (c *Conn) limitLocked(n int) error {
	if c.out.empty() || c.out.size+n <= c.srv.opts.SendLimit {
		return nil
	}
	c.out.drop()
	c.closeLocked(&CloseError{Code: StatusPolicyViolation, Reason: ReasonSlow})
	return ErrClosed
}

// flushLocked writes what the kernel takes and leaves the rest to a flusher.
func (c *Conn) flushLocked() {
	if c.flushing || c.state == stateClosed {
		return
	}
	for !c.out.empty() {
		head := c.out.next()
		n, err := c.tryWrite(head)
		if err != nil {
			c.abortLocked(&CloseError{Code: StatusAbnormal, Err: err})
			return
		}
		c.out.wrote(n)
		if n < len(head) {
			c.startFlusherLocked()
			return
		}
	}
	if c.closeWhenSent {
		c.abortLocked(nil)
	}
}

func (c *Conn) startFlusherLocked() {
	c.flushing = true
	go c.flusher()
}

// flusher waits for the network until the outbox is empty.
func (c *Conn) flusher() {
	for {
		c.mu.Lock()
		if c.state == stateClosed || c.out.empty() {
			c.flushing = false
			if c.closeWhenSent {
				c.abortLocked(nil)
			}
			c.mu.Unlock()
			return
		}
		head := c.out.next()
		c.mu.Unlock()

		n, err := c.waitWrite(head)

		c.mu.Lock()
		if err != nil {
			c.abortLocked(&CloseError{Code: StatusAbnormal, Err: err})
		}
		if c.state != stateClosed {
			c.out.wrote(n)
		}
		c.mu.Unlock()
	}
}

// attempt is one non-blocking write, pooled because its method must be
// passed as a function.
type attempt struct {
	b    []byte
	n    int
	err  error
	wait bool // wait for room, instead of giving up
	fn   func(fd uintptr) bool
}

var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.fn = a.write
	return a
}}

func (a *attempt) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), a.b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return !a.wait
		case err != nil:
			a.err = err
		case n == 0:
			a.err = io.ErrUnexpectedEOF
		default:
			a.n = n
		}
		return true
	}
}

// tryWrite writes what the kernel takes without waiting.
func (c *Conn) tryWrite(b []byte) (int, error) {
	if c.raw == nil {
		return 0, nil
	}
	return c.attemptWrite(b, false)
}

// waitWrite waits until the kernel takes at least one byte.
func (c *Conn) waitWrite(b []byte) (int, error) {
	if c.raw == nil {
		return c.nc.Write(b)
	}
	return c.attemptWrite(b, true)
}

func (c *Conn) attemptWrite(b []byte, wait bool) (int, error) {
	a := attempts.Get().(*attempt)
	a.b, a.n, a.err, a.wait = b, 0, nil, wait
	err := c.raw.Write(a.fn)
	if a.err != nil {
		err = a.err
	}
	n := a.n
	a.b = nil
	attempts.Put(a)
	return n, err
}
