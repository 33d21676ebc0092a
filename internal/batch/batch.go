// Package batch gathers what many want to write, and writes it together: what
// comes while something is being written goes into the next batch. There is no
// timer, so whoever is alone waits for nobody, and the more there are, the less
// each costs.
package batch

import "sync"

// Options configure a [Writer].
type Options[T any] struct {
	// Write writes a batch, all or nothing, and returns for each why it was
	// refused, nil if it was not. err means that nothing was written, or that
	// it is not known.
	Write func(all []T) (refused []error, err error)
	// Again is what to write of one that may have been written, when its batch
	// failed and it is tried alone. nil writes the same.
	Again func(one T) T
	// Max bounds a batch. Default 256.
	Max int
}

// A Writer writes in batches, one after the other and in the order in which
// they came. It may be used concurrently. What waits is bounded by how many
// call it.
type Writer[T any] struct {
	opts Options[T]

	mu      sync.Mutex
	line    []*item[T]
	writing bool
	writes  int64
	batches int64
	working sync.WaitGroup
}

// item is one that waits to be written.
type item[T any] struct {
	value T
	done  chan error
}

// New returns a Writer.
func New[T any](opts Options[T]) *Writer[T] {
	if opts.Max <= 0 {
		opts.Max = 256
	}
	if opts.Again == nil {
		opts.Again = func(one T) T { return one }
	}
	return &Writer[T]{opts: opts}
}

// Write returns when a value has been written, or why it was not.
func (w *Writer[T]) Write(value T) error {
	p := &item[T]{value, make(chan error, 1)}
	w.mu.Lock()
	w.line = append(w.line, p)
	if !w.writing {
		w.writing = true
		w.working.Go(w.run)
	}
	w.mu.Unlock()
	return <-p.done
}

// Wait returns when nothing is being written.
func (w *Writer[T]) Wait() { w.working.Wait() }

// Counts returns how many values were written, and in how many batches.
func (w *Writer[T]) Counts() (writes, batches int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes, w.batches
}

// Waiting returns how many values are in line.
func (w *Writer[T]) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.line)
}

// run writes until nothing is in line.
func (w *Writer[T]) run() {
	for {
		w.mu.Lock()
		batch := w.line
		if len(batch) == 0 {
			w.line, w.writing = nil, false
			w.mu.Unlock()
			return
		}
		if len(batch) > w.opts.Max {
			batch = batch[:w.opts.Max:w.opts.Max]
		}
		w.line = w.line[len(batch):]
		w.writes += int64(len(batch))
		w.batches++
		w.mu.Unlock()
		w.flush(batch)
	}
}

// flush writes a batch, and if that fails each of it alone: one that cannot be
// written must not take others with it.
func (w *Writer[T]) flush(batch []*item[T]) {
	values := make([]T, len(batch))
	for i, p := range batch {
		values[i] = p.value
	}
	refused, err := w.opts.Write(values)
	switch {
	case err == nil:
		for i, p := range batch {
			p.done <- refused[i]
		}
	case len(batch) == 1:
		batch[0].done <- err
	default:
		for _, p := range batch {
			p.value = w.opts.Again(p.value)
			w.flush([]*item[T]{p})
		}
	}
}
