package app

import (
	"context"
	"errors"
	"sync"

	"github.com/roomcast/roomcast/internal/workflow"
)

// runReads has those who read the log of a run at the same time share one
// reading: a workflow may have hundreds of subscribers, who all want a run when
// it begins. Whoever comes while the log is being read gets the next reading,
// so that nobody gets one from before. The zero value is ready.
type runReads struct {
	mu   sync.Mutex
	runs map[string]*runReaders
}

// runReaders are those who read a run now.
type runReaders struct {
	n    int
	turn chan struct{} // full while somebody reads
	next *runReading   // that has not begun, nil if nobody waits for it
}

// A runReading is one reading of a log. The history is for all who share it, and
// must not be changed.
type runReading struct {
	after   uint64 // the least offset that somebody wants it from
	done    chan struct{}
	history workflow.History
	err     error
}

// read returns a history of a run that was read after the call, with the updates
// after an offset, or more. One of those who want it calls fn.
func (r *runReads) read(ctx context.Context, runID string, after uint64, fn func(after uint64) (workflow.History, error)) (workflow.History, error) {
	readers, reading := r.enter(runID, after)
	defer r.leave(runID, readers)
	select {
	case <-reading.done:
	case <-ctx.Done():
		return workflow.History{}, ctx.Err()
	case readers.turn <- struct{}{}:
		defer func() { <-readers.turn }()
		r.do(readers, reading, fn)
	}
	return reading.history, reading.err
}

var errNotRead = errors.New("the log of the run was not read")

// do does a reading, unless somebody has.
func (r *runReads) do(readers *runReaders, reading *runReading, fn func(after uint64) (workflow.History, error)) {
	r.mu.Lock()
	if readers.next != reading {
		r.mu.Unlock()
		return
	}
	readers.next = nil // who comes now wants a later one
	r.mu.Unlock()
	defer close(reading.done)
	reading.err = errNotRead // if fn panics
	reading.history, reading.err = fn(reading.after)
}

func (r *runReads) enter(runID string, after uint64) (*runReaders, *runReading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	readers := r.runs[runID]
	if readers == nil {
		readers = &runReaders{turn: make(chan struct{}, 1)}
		if r.runs == nil {
			r.runs = make(map[string]*runReaders)
		}
		r.runs[runID] = readers
	}
	readers.n++
	if readers.next == nil {
		readers.next = &runReading{after: after, done: make(chan struct{})}
	}
	readers.next.after = min(readers.next.after, after)
	return readers, readers.next
}

func (r *runReads) leave(runID string, readers *runReaders) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if readers.n--; readers.n == 0 {
		delete(r.runs, runID)
	}
}
