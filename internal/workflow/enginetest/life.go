package enginetest

import (
	"context"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// errDead is all that an engine hears that has been killed.
var errDead = errors.New("this process is dead")

// A life is that of one process: what happens after it has no effect.
type life struct {
	mu    sync.Mutex
	ended chan struct{}
	write int // how many writes were made
	last  int // the write at which it ends, 0 for none
	after bool
}

func newLife(last int, after bool) *life {
	return &life{ended: make(chan struct{}), last: last, after: after}
}

func (l *life) dead() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked()
}

func (l *life) endLocked() {
	if !l.dead() {
		close(l.ended)
	}
}

// spare reports whether the life has not ended, and lets it go on: what is
// written from now on does not end it. A write with which it ends is over by
// then, although what it wrote could be read earlier.
func (l *life) spare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = 0
	return !l.dead()
}

// writing counts a write. If the life ends with it, that is done, and with it
// what the write does when it comes first.
func (l *life) writing(does func()) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write++
	if l.write != l.last {
		return false
	}
	if l.after {
		does()
	}
	l.endLocked()
	return true
}

// mortal is a store as one process sees it.
type mortal struct {
	workflow.Store
	life *life
}

// Write implements [workflow.Store]. The life may end before it or, without
// anybody hearing of it, after it.
func (m mortal) Write(ctx context.Context, writes []workflow.Write) ([]error, error) {
	if m.life.dead() {
		return nil, errDead
	}
	if m.life.writing(func() { _, _ = m.Store.Write(ctx, writes) }) {
		return nil, errDead
	}
	return m.Store.Write(ctx, writes)
}

func (m mortal) Run(ctx context.Context, id string) (workflow.Run, error) {
	if m.life.dead() {
		return workflow.Run{}, errDead
	}
	return m.Store.Run(ctx, id)
}

func (m mortal) Log(ctx context.Context, runID string, after uint64) ([]interpreter.Entry, error) {
	if m.life.dead() {
		return nil, errDead
	}
	return m.Store.Log(ctx, runID, after)
}

func (m mortal) AbandonedRuns(ctx context.Context, limit int) ([]workflow.Run, error) {
	if m.life.dead() {
		return nil, errDead
	}
	return m.Store.AbandonedRuns(ctx, limit)
}

func (m mortal) TakeRun(ctx context.Context, id, from, to string) (bool, error) {
	if m.life.dead() {
		return false, errDead
	}
	return m.Store.TakeRun(ctx, id, from, to)
}

func (m mortal) ReleaseRuns(ctx context.Context, owner string) error {
	if m.life.dead() {
		return errDead
	}
	return m.Store.ReleaseRuns(ctx, owner)
}
