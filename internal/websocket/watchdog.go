package websocket

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

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
	defer w.mu.Unlock()
	t.slot = len(w.turns)
	w.turns = append(w.turns, t)
}

func (w *watchdog) remove(t *Turn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := len(w.turns) - 1
	w.turns[t.slot] = w.turns[last]
	w.turns[t.slot].slot = t.slot
	w.turns[last] = nil
	w.turns = w.turns[:last]
}

// busy says that a turn has begun to work.
func (w *watchdog) busy() {
	if w.idle.Load() && w.idle.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// idleTicks is how long the watchdog keeps ticking with nothing to watch:
// waking it costs more than a tick.
const idleTicks = 100

func (w *watchdog) run(ctx context.Context) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	for quiet := 0; ; quiet++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if w.look() {
			quiet = 0
		}
		if quiet < idleTicks {
			continue
		}
		ticker.Stop()
		w.idle.Store(true)
		// Work that began just before idle was set has woken nobody.
		if w.look() && w.idle.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			ticker.Reset(w.every)
			quiet = 0
		}
	}
}

// look overtakes what has been working for a whole tick and reports whether
// anything was working at all.
func (w *watchdog) look() (working bool) {
	tick := w.tick.Add(1) - 1
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.turns {
		working = t.overtake(tick) || working
	}
	return working
}
