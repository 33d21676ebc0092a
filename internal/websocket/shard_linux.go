package websocket

import "syscall"

// A reader is the goroutine that currently reads a shard.
type reader struct {
	*Turn
	shard  *shard
	events [128]syscall.EpollEvent
	i, n   int // events[i:n] have not been handled
	look   func(uintptr) bool
}

func newReader(s *shard) *reader {
	r := &reader{Turn: newTurn(s.srv, readSize), shard: s}
	r.goOn = r.handOver
	r.look = func(uintptr) bool {
		r.i, r.n = 0, s.events(r.events[:])
		return r.n > 0
	}
	return r
}

// handOver gives what has not been handled, and the shard, to a new reader.
func (r *reader) handOver() {
	pending := append([]syscall.EpollEvent(nil), r.events[r.i:r.n]...)
	c := r.c
	go func() {
		next := newReader(r.shard)
		next.n = copy(next.events[:], pending)
		if next.handleRest(c) {
			next.run()
		} else {
			next.end()
		}
	}()
}

// run reads until another reader takes over, or the server stops.
func (r *reader) run() {
	defer r.end()
	for {
		for r.i < r.n {
			e := r.events[r.i]
			r.i++
			if !r.handleEvent(e) {
				return
			}
		}
		if err := r.shard.ready.Read(r.look); err != nil {
			panic("websocket: waiting for events: " + err.Error())
		}
	}
}

// handleEvent handles what epoll tells of one connection. It reports false
// when reading is over for this goroutine.
func (r *reader) handleEvent(e syscall.EpollEvent) bool {
	s := r.shard
	if int(e.Fd) == s.waker {
		return r.handleWoken()
	}
	s.mu.Lock()
	c := s.conns[e.Fd]
	s.mu.Unlock()
	if c == nil {
		return true
	}
	if e.Events&syscall.EPOLLOUT != 0 {
		c.unblock()
	}
	if e.Events&^syscall.EPOLLOUT == 0 {
		return true
	}
	if c.paused.Load() {
		if e.Events&(syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
			r.hungUp(c)
		}
		return true // it may have been paused since epoll looked
	}
	return r.receive(c)
}

// receive reads what there is of a connection and handles it.
func (r *reader) receive(c *Conn) bool {
	r.begin(c)
	c.mu.Lock()
	n, err := c.read(r.buf[r.w:])
	c.mu.Unlock()
	r.w += n
	if err == nil {
		return c.handle(r.Turn)
	}
	if r.w > 0 { // what a pause held back comes before the end
		if !c.handle(r.Turn) {
			return false
		}
		if r.held {
			return true
		}
	}
	r.drop(c, err)
	return true
}

// handleRest handles what was read of a connection before.
func (r *reader) handleRest(c *Conn) bool {
	if c.rest == nil || c.told {
		return true
	}
	r.begin(c)
	return c.handle(r.Turn)
}

// hungUp is called when the peer of a paused connection has gone. What it sent
// before is handled when the connection is resumed.
func (r *reader) hungUp(c *Conn) {
	c.mu.Lock()
	over := c.state == stateClosed
	if !over {
		c.gone = true
		syscall.EpollCtl(r.shard.epoll, syscall.EPOLL_CTL_DEL, c.fd, nil)
	}
	c.mu.Unlock()
	if over {
		r.drop(c, nil)
	}
}

// drop ends a connection and gives its descriptor back. Nobody else does, so
// a descriptor is never used for two connections.
func (r *reader) drop(c *Conn, err error) {
	c.ended(closeError(err))
	c.rest, c.fragment = nil, nil
	if c.fd < 0 {
		return
	}
	r.shard.mu.Lock()
	delete(r.shard.conns, int32(c.fd))
	r.shard.mu.Unlock()
	c.mu.Lock()
	c.release()
	c.mu.Unlock()
}

// handleWoken handles the connections that have been woken.
func (r *reader) handleWoken() bool {
	s := r.shard
	var count [8]byte
	syscall.Read(s.waker, count[:])
	for {
		s.mu.Lock()
		if len(s.woken) == 0 {
			s.woken = nil
			stopping := s.stopping
			s.mu.Unlock()
			if stopping {
				r.stop()
			}
			return !stopping
		}
		c := s.woken[0]
		s.woken = s.woken[1:]
		s.mu.Unlock()
		if !r.resume(c) {
			s.signal() // for the next reader
			return false
		}
	}
}

// resume goes on with a connection that has something to handle although
// epoll has nothing to tell of it.
func (r *reader) resume(c *Conn) bool {
	c.mu.Lock()
	over, gone := c.state == stateClosed, c.gone
	c.mu.Unlock()
	switch {
	case over:
		r.drop(c, nil)
		return true
	case c.paused.Load():
		return true
	case !r.handleRest(c):
		return false
	}
	for gone && !c.paused.Load() && c.fd >= 0 {
		if !r.receive(c) {
			return false
		}
	}
	return true
}

// stop ends all connections and the shard.
func (r *reader) stop() {
	s := r.shard
	s.mu.Lock()
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		r.drop(c, ErrClosed)
	}
	s.close()
	s.stopped.Done()
}
