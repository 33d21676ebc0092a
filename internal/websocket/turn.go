package websocket

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Turn is one stretch of reading: from the moment the kernel has bytes for
// a connection until they have all been handled. The goroutine that runs it
// owns its buffer. While the owner is inside Work the watchdog may overtake
// it: the unread rest of the buffer and the role of reader then go to a fresh
// goroutine, and the old one ends when its work does.
type Turn struct {
	c *Conn

	// buf[r:w] has been read but not handled. Written by the owner only, and
	// by nobody while working is set. buf is either the turn's own array or,
	// when a frame is longer, the connection's.
	buf  []byte
	r, w int
	own  *[readSize]byte

	mu        sync.Mutex
	working   bool
	overtaken bool
	listed    bool  // in the watchdog's table
	since     int64 // watchdog tick at which the current work began
	slot      int   // position in the watchdog's table
}

// readSize is the size of a pooled read buffer: a burst of small events in
// one system call. Longer frames continue in a buffer of their own.
const readSize = 16 << 10

var turns = sync.Pool{New: func() any { return &Turn{own: new([readSize]byte)} }}

// Send sends frames from within [Turn.Work]. Replies to what came in one read
// leave in one write, at its end; a reply of work that was overtaken leaves at
// once.
func (t *Turn) Send(frames []byte) error {
	if t.lost() {
		return t.c.Send(frames)
	}
	return t.c.deferSend(frames)
}

// Work runs fn on the calling goroutine, which must be inside the call of
// [Handler.Message] that the turn was passed to. When fn takes long, reading
// goes on elsewhere: further calls of Message may then start before fn
// returns.
func (t *Turn) Work(fn func()) {
	t.mu.Lock()
	t.working = true
	t.since = t.c.srv.watch.tick.Load()
	listed := t.listed
	t.listed = true
	t.mu.Unlock()
	if !listed {
		t.c.srv.watch.add(t)
	}
	fn()
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

// finish returns the turn to the pool.
func (t *Turn) finish() {
	if t.listed {
		t.c.srv.watch.remove(t)
	}
	t.c, t.buf, t.r, t.w, t.overtaken, t.listed = nil, nil, 0, 0, false, false
	turns.Put(t)
}

// overtake hands reading to a new goroutine when the turn has been working
// since before tick.
func (t *Turn) overtake(tick int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.working || t.overtaken || t.since >= tick {
		return
	}
	t.overtaken = true
	c := t.c
	c.rest = append([]byte(nil), t.buf[t.r:t.w]...)
	c.Flush()
	go c.readLoop()
}

// watchdog looks at the turns that are working, every HandoverAfter. It
// sleeps while there are none.
type watchdog struct {
	tick  atomic.Int64
	idle  atomic.Bool
	wake  chan struct{}
	every time.Duration

	mu    sync.Mutex
	turns []*Turn
}

func (w *watchdog) add(t *Turn) {
	w.mu.Lock()
	t.slot = len(w.turns)
	w.turns = append(w.turns, t)
	w.mu.Unlock()
	if w.idle.Load() && w.idle.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

func (w *watchdog) remove(t *Turn) {
	w.mu.Lock()
	last := len(w.turns) - 1
	w.turns[t.slot] = w.turns[last]
	w.turns[t.slot].slot = t.slot
	w.turns[last] = nil
	w.turns = w.turns[:last]
	w.mu.Unlock()
}

// idleTicks is how long the watchdog keeps ticking with nothing to watch:
// waking it costs more than a tick.
const idleTicks = 100

func (w *watchdog) run(ctx context.Context) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	quiet := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if w.look() {
			quiet = 0
		} else if quiet++; quiet > idleTicks {
			if !w.sleep(ctx, ticker) {
				return
			}
			quiet = 0
		}
	}
}

// look overtakes what has been working for a whole tick and reports whether
// anything was working at all.
func (w *watchdog) look() bool {
	tick := w.tick.Add(1) - 1
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.turns {
		t.overtake(tick)
	}
	return len(w.turns) > 0
}

// sleep stops the ticker until a turn is added. It reports false when ctx ended.
func (w *watchdog) sleep(ctx context.Context, ticker *time.Ticker) bool {
	ticker.Stop()
	w.idle.Store(true)
	w.mu.Lock()
	busy := len(w.turns) > 0
	w.mu.Unlock()
	if busy && w.idle.CompareAndSwap(true, false) {
		ticker.Reset(w.every)
		return true
	}
	select {
	case <-ctx.Done():
		return false
	case <-w.wake:
		ticker.Reset(w.every)
		return true
	}
}
