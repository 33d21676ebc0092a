package workflow

import (
	"log/slog"
	"math"
	"sync"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// A Publisher sends an event to a room. It knows the epoch of positions, which
// come without.
type Publisher interface {
	Publish(room events.Room, pos cluster.Position, p events.Payload) error
}

// A Feed tells what happens in runs, after it was stored: the rooms of the
// runs, those who observe all runs, and those who wait for one. Updates of one
// run must come one after the other; a Feed may be used concurrently.
type Feed struct {
	publisher Publisher
	log       *slog.Logger
	observers []func(Update)
	// contextLimit bounds the variables in events.
	contextLimit int

	mu      sync.Mutex
	waiting map[string]*waiters // by run
}

// waiters are those who wait for the next update of a run.
type waiters struct {
	n    int
	next chan struct{} // closed with it
}

// NewFeed returns a Feed.
func NewFeed(p Publisher, log *slog.Logger) *Feed {
	return &Feed{publisher: p, log: log, contextLimit: math.MaxInt, waiting: map[string]*waiters{}}
}

// Observe calls fn with every update of every run, after it was published. It
// must be called before anything runs; fn must not block.
func (f *Feed) Observe(fn func(Update)) { f.observers = append(f.observers, fn) }

// Publish tells what has happened in a run.
func (f *Feed) Publish(updates []Update) {
	for _, u := range updates {
		u = f.bound(u)
		if err := f.publisher.Publish(events.RunRoom(u.Run.ID), u.Position(), u.Payload); err != nil {
			f.log.Error("run update was not published", "run", u.Run.ID, "error", err)
		}
		for _, fn := range f.observers {
			fn(u)
		}
		f.Wake(u.Run.ID)
	}
}

// next returns a channel that is closed with the next update of a run here, and
// what is to be called by who does not wait for it any more.
func (f *Feed) next(runID string) (next <-chan struct{}, leave func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.waiting[runID]
	if w == nil {
		w = &waiters{next: make(chan struct{})}
		f.waiting[runID] = w
	}
	w.n++
	return w.next, func() { f.leave(runID, w) }
}

func (f *Feed) leave(runID string, w *waiters) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w.n--; w.n == 0 && f.waiting[runID] == w {
		delete(f.waiting, runID)
	}
}

// Wake has those look who wait for something to happen in a run.
func (f *Feed) Wake(runID string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if w := f.waiting[runID]; w != nil {
		close(w.next)
		delete(f.waiting, runID)
	}
}
