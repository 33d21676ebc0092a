package journal

import (
	"context"
	"sync"

	"github.com/roomcast/roomcast/internal/workflow"
)

// maxBatch bounds how many writes go into one transaction: the store is not
// free for others meanwhile.
const maxBatch = 256

// A flusher writes to the store what many runs have to write, together. Each
// run has one write in line at most, so the line is as long as there are runs
// at work.
type flusher struct {
	store workflow.Store

	mu      sync.Mutex
	line    []*write
	writing bool
	writes  int64
	batches int64
	working sync.WaitGroup
}

// write is one that waits to be stored.
type write struct {
	workflow.Write
	done chan error
}

// write returns when a write has been stored, or why it was not.
func (f *flusher) write(w workflow.Write) error {
	p := &write{w, make(chan error, 1)}
	f.mu.Lock()
	f.line = append(f.line, p)
	if !f.writing {
		f.writing = true
		f.working.Go(f.run)
	}
	f.mu.Unlock()
	return <-p.done
}

// run writes until nothing is in line.
func (f *flusher) run() {
	for {
		f.mu.Lock()
		batch := f.line
		if len(batch) == 0 {
			f.line, f.writing = nil, false
			f.mu.Unlock()
			return
		}
		if len(batch) > maxBatch {
			batch = batch[:maxBatch:maxBatch]
		}
		f.line = f.line[len(batch):]
		f.writes += int64(len(batch))
		f.batches++
		f.mu.Unlock()
		f.flush(batch)
	}
}

func (f *flusher) counts() (writes, batches int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes, f.batches
}

// flush stores a batch, and if that fails each of it alone: one that cannot be
// stored must not take others with it.
func (f *flusher) flush(batch []*write) {
	writes := make([]workflow.Write, len(batch))
	for i, w := range batch {
		writes[i] = w.Write
	}
	refused, err := f.store.Write(context.Background(), writes)
	switch {
	case err == nil:
		for i, w := range batch {
			w.done <- refused[i]
		}
	case len(batch) == 1:
		batch[0].done <- err
	default:
		for _, w := range batch {
			w.Repeated = w.Create == nil // nobody knows whether the transaction was committed
			f.flush([]*write{w})
		}
	}
}
