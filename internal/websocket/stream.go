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
	t.goOn = func() { c.srv.streams.goOn(c) }
	defer c.srv.streams.done(c, t)
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

// streams are the connections of a server that are streams, and their readers.
type streams struct {
	mu      sync.Mutex
	conns   map[*Conn]bool
	over    bool
	readers sync.WaitGroup
}

// start begins to read a stream.
func (s *streams) start(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		go c.ended(closeError(ErrClosed))
		return
	}
	if s.conns == nil {
		s.conns = make(map[*Conn]bool)
	}
	s.conns[c] = true
	s.readers.Go(c.readStream)
}

// goOn has another goroutine read on.
func (s *streams) goOn(c *Conn) { s.readers.Go(c.readStream) }

// done is the end of a reader.
func (s *streams) done(c *Conn, t *Turn) {
	lost := t.lost()
	t.end()
	if lost {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// stop ends all streams.
func (s *streams) stop() {
	s.mu.Lock()
	s.over = true
	for c := range s.conns {
		go c.Abort()
	}
	s.mu.Unlock()
	s.readers.Wait()
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
