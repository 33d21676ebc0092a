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
	if !l.dead() {
		close(l.ended)
	}
}

// writing counts a write, and reports whether the life ends with it.
func (l *life) writing() (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write++
	return l.write == l.last
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
	last := m.life.writing()
	if last && !m.life.after {
		m.life.end()
		return nil, errDead
	}
	refused, err := m.Store.Write(ctx, writes)
	if last {
		m.life.end()
		return nil, errDead
	}
	return refused, err
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
