package websocket

import "sync"

// A Turn is the work of whoever reads: one connection after the other, each
// from the moment the network has bytes for it until they have all been
// handled. Its goroutine owns its buffer. Between Begin and End the watchdog
// may overtake it: the role of reader, with everything that has been read but
// not handled, then goes to a fresh goroutine, and the old one ends when its
// work does.
type Turn struct {
	srv *Server
	c   *Conn // whose bytes are being handled

	// buf[r:w] has been read but not handled. Written by the owner only, and
	// by nobody between Begin and End. buf is either the turn's own or, when a
	// frame is longer, the connection's.
	buf  []byte
	r, w int
	own  []byte
	held bool // a pause has kept some of it from being handled
	// goOn takes over the role of reader.
	goOn func()

	mu        sync.Mutex
	working   bool
	overtaken bool
	since     int64 // watchdog tick at which the current work began
	deferred  int64 // tick at which the oldest reply was put off, -1 when there is none
	slot      int   // position in the watchdog's table
}

// newTurn returns a turn that the watchdog knows.
func newTurn(srv *Server, size int) *Turn {
	t := &Turn{srv: srv, own: make([]byte, size), deferred: -1}
	srv.watch.add(t)
	return t
}

// end forgets a turn.
func (t *Turn) end() { t.srv.watch.remove(t) }

// Send sends frames to the connection whose message is being handled. Replies
// to what came in one read leave in one write, at its end, or when the first
// of them has waited for a tick; a reply of work that was overtaken leaves at
// once.
func (t *Turn) Send(frames []byte) error {
	t.mu.Lock()
	if t.overtaken {
		t.mu.Unlock()
		return t.c.Send(frames)
	}
	defer t.mu.Unlock() // until then nobody overtakes, and flushes too early
	if t.deferred < 0 {
		t.deferred = t.srv.watch.tick.Load()
	}
	return t.c.deferSend(frames)
}

// Begin says that what follows may take long. It is called by the goroutine
// that runs [Handler.Message], which must call End before it returns. When it
// does take long, reading goes on elsewhere: further calls of Message may
// then start before End.
func (t *Turn) Begin() {
	tick := t.srv.watch.tick.Load()
	t.mu.Lock()
	t.working = true
	t.since = tick
	late := t.deferred >= 0 && t.deferred < tick
	if late {
		t.deferred = -1
	}
	t.mu.Unlock()
	t.srv.watch.busy()
	if late {
		t.c.Flush()
	}
}

// End says that it is over.
func (t *Turn) End() {
	t.mu.Lock()
	t.working = false
	t.mu.Unlock()
}

// lost reports whether another goroutine has taken over reading.
func (t *Turn) lost() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.overtaken
}

// flushed notes that no reply waits any more.
func (t *Turn) flushed() {
	t.mu.Lock()
	t.deferred = -1
	t.mu.Unlock()
}

// begin gives the turn to a connection, with room to read into: behind what
// the connection has not handled yet.
func (t *Turn) begin(c *Conn) {
	t.c, t.buf, t.r, t.w, t.held = c, t.own, 0, 0, false
	if c.rest == nil {
		return
	}
	if len(c.rest) < len(t.own) && frameSize(c.rest) <= len(t.own) {
		t.w = copy(t.buf, c.rest)
		return
	}
	// Grow as bytes arrive, not as the header promises: a client can promise
	// a lot for nothing.
	if len(c.rest) == cap(c.rest) {
		grown := make([]byte, len(c.rest), 2*len(c.rest))
		copy(grown, c.rest)
		c.rest = grown
	}
	t.buf, t.w = c.rest[:cap(c.rest)], len(c.rest)
}

// overtake hands reading to a new goroutine when the turn has been working
// since before tick.
func (t *Turn) overtake(tick int64) (working bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.working || t.overtaken {
		return false
	}
	if t.since >= tick {
		return true
	}
	t.overtaken = true
	t.c.rest = append([]byte(nil), t.buf[t.r:t.w]...)
	t.c.Flush()
	t.goOn()
	return true
}
