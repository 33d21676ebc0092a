package websocket

import "sync"

// A stream is a connection whose kernel socket is out of reach, because it is
// encrypted or the system has no epoll. It has a goroutine that reads, and
// one that writes while there is something to write.

// streamBuffer is the size of a stream's read buffer, which it holds for as
// long as it lives.
const streamBuffer = 4 << 10

// readStream reads until the connection ends or another goroutine takes over.
func (c *Conn) readStream() {
	t := newTurn(c.srv, streamBuffer)
	t.goOn = func() { go c.readStream() }
	defer t.end()
	for {
		if !c.handle(t) {
			return
		}
		held := t.held
		c.awaitResume()
		t.begin(c)
		if held {
			continue // there is something left from before
		}
		n, err := c.nc.Read(t.buf[t.w:])
		t.w += n
		if err != nil && n == 0 {
			c.ended(closeError(err))
			return
		}
	}
}

// awaitResume waits while the connection is paused.
func (c *Conn) awaitResume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.paused.Load() && c.state != stateClosed {
		if c.resumed == nil {
			c.resumed = sync.NewCond(&c.mu)
		}
		c.resumed.Wait()
	}
}

// writeStream writes until the outbox is empty. Whether it is, and that
// nobody writes any more, is decided in one step.
func (c *Conn) writeStream() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.state != stateClosed && !c.out.empty() {
		head := c.out.next()
		c.mu.Unlock()
		n, err := c.nc.Write(head)
		c.mu.Lock()
		switch {
		case c.state == stateClosed:
		case err != nil:
			c.abortLocked(&CloseError{Code: StatusAbnormal, Err: err})
		default:
			c.out.wrote(n)
		}
	}
	c.blocked = false
	if c.state != stateClosed {
		c.sentLocked()
	}
}
