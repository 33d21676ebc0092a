package app

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
)

// waiting returns how many are there for a run.
func (r *runReads) waiting(runID string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if readers := r.runs[runID]; readers != nil {
		return readers.n
	}
	return 0
}

// However many want a log at once, it is read twice: for the first, and again
// for all who came meanwhile, as of then and from where the first of them wants
// it.
func TestRunReadsAreShared(t *testing.T) {
	const many = 500
	var r runReads
	var reading sync.WaitGroup
	begun, goOn := make(chan struct{}), make(chan struct{})
	first := func(uint64) (workflow.History, error) {
		close(begun)
		<-goOn
		return workflow.History{Through: 1}, nil
	}
	reading.Go(func() {
		if h, err := r.read(t.Context(), "run", 7, first); h.Through != 1 || err != nil {
			t.Error(h.Through, err)
		}
	})
	<-begun
	reads := make(chan uint64, many)
	second := func(after uint64) (workflow.History, error) {
		reads <- after
		return workflow.History{Through: 2}, nil
	}
	for i := range uint64(many) {
		reading.Go(func() {
			if h, err := r.read(t.Context(), "run", 3+i, second); h.Through != 2 || err != nil {
				t.Error(h.Through, err)
			}
		})
	}
	// One who leaves keeps nobody back, and another run has nothing to do with it.
	ctx, cancel := context.WithCancel(t.Context())
	reading.Go(func() {
		if _, err := r.read(ctx, "run", 0, second); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	eventually.True(t, func() bool { return r.waiting("run") == many+2 })
	cancel()
	eventually.True(t, func() bool { return r.waiting("run") == many+1 })
	if h, err := r.read(t.Context(), "other", 0, func(uint64) (workflow.History, error) { return workflow.History{Through: 3}, nil }); h.Through != 3 || err != nil {
		t.Error(h.Through, err)
	}
	close(goOn)
	reading.Wait()
	if n := len(reads); n != 1 {
		t.Errorf("read %d times more", n)
	}
	if after := <-reads; after != 0 {
		t.Errorf("read after %d", after)
	}
	if len(r.runs) != 0 {
		t.Errorf("%v", r.runs)
	}
}

// A reading that panics fails for all who share it, and for nobody after.
func TestRunReadsAfterAPanic(t *testing.T) {
	var r runReads
	func() {
		defer func() { recover() }()
		r.read(t.Context(), "run", 0, func(uint64) (workflow.History, error) { panic("here") })
	}()
	if h, err := r.read(t.Context(), "run", 0, func(uint64) (workflow.History, error) { return workflow.History{Through: 1}, nil }); h.Through != 1 || err != nil {
		t.Error(h.Through, err)
	}
}
