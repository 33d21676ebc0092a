package journal

import (
	"maps"

	"github.com/roomcast/roomcast/events"
)

// Counts are what an engine has done since it began.
type Counts struct {
	Live  int // runs that go on here now
	Ended map[events.RunStatus]int64
	// Repeated are nodes that were begun again because nothing says how far
	// they had got when their process ended.
	Repeated int64
	// Writes are what was written to logs, and Batches in how many transactions.
	Writes, Batches int64
}

// Counts returns what the engine has done.
func (e *Engine) Counts() Counts {
	writes, batches := e.journal.Counts()
	e.mu.Lock()
	defer e.mu.Unlock()
	return Counts{Live: len(e.live), Ended: maps.Clone(e.ended), Repeated: e.repeats, Writes: writes, Batches: batches}
}

func (e *Engine) countEnd(s events.RunStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended[s]++
}
