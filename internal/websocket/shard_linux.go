package websocket

import "syscall"

// A reader is the goroutine that currently reads a shard.
type reader struct {
	*Turn
	shard  *shard
	events [128]syscall.EpollEvent
	i, n   int // events[i:n] have not been handled
	got    int // bytes that the latest read has brought
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
		r.shard.signal() // r may have been going through woken
		if next.resume(c) {
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
	if c == nil || c.serial != e.Pad {
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
	s.mu.Lock()
	queued := c.queued
	s.mu.Unlock()
	if queued && c.rest != nil {
		return true // its turn comes with woken
	}
	return r.receive(c)
}

// receive reads what there is of a connection and handles it.
func (r *reader) receive(c *Conn) bool {
	r.begin(c)
	c.mu.Lock()
	n, err := c.read(r.buf[r.w:])
	c.mu.Unlock()
	r.got = n
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

// handleWoken handles the connections that have been woken. Those that are
// woken meanwhile come after what epoll has.
func (r *reader) handleWoken() bool {
	s := r.shard
	var count [8]byte
	syscall.Read(s.waker, count[:])
	s.mu.Lock()
	stopping, n := s.stopping, len(s.woken)
	s.mu.Unlock()
	if stopping {
		r.stop()
		return false
	}
	for range n {
		c := s.next()
		if c == nil {
			break
		}
		if !r.resume(c) {
			return false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.woken) > 0 {
		s.signalLocked()
	} else {
		s.woken = nil
	}
	return true
}

// next takes a connection out of woken, nil if there is none.
func (s *shard) next() *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.woken) == 0 {
		return nil
	}
	c := s.woken[0]
	s.woken[0] = nil
	s.woken = s.woken[1:]
	c.queued = false
	return c
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
	if gone {
		return r.receiveLast(c)
	}
	return true
}

// receiveLast reads what a peer sent before it hung up. Epoll does not tell of
// the connection any more.
func (r *reader) receiveLast(c *Conn) bool {
	for c.fd >= 0 && !c.paused.Load() {
		if !r.receive(c) {
			return false
		}
		if r.held { // by a pause, whose end wakes it, or because others wait
			return true
		}
		if r.got == 0 && c.fd >= 0 {
			return r.comeBack(c)
		}
	}
	return true
}

// comeBack lets epoll tell of a connection again whose peer has not hung up
// after all.
func (r *reader) comeBack(c *Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone, c.armed = false, c.interest()
	r.shard.control(syscall.EPOLL_CTL_ADD, c)
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
