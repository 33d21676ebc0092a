package socketio

import (
	"runtime"
	"sync/atomic"
	"time"
)

// An event is best handled where it was read, unless that takes long: others
// are read there too. How long an event takes is learnt from those before it.

// pace is how long the handler of an event takes, in nanoseconds: an average
// in which the latest counts for an eighth.
type pace struct {
	average atomic.Int64
	inline  atomic.Int32 // being handled where they were read
}

// inlineTime is how long an event may keep others from being read.
const inlineTime = 200 * time.Microsecond

// paces returns a pace for every event that a namespace knows.
func paces(ns Namespace) map[string]*pace {
	m := make(map[string]*pace, len(ns.Routes))
	for _, r := range ns.Routes {
		m[r.Event] = new(pace)
	}
	return m
}

// quick reports whether an event can be handled where it was read. p is nil for
// an event that nobody knows, and to refuse one is quick.
func (p *pace) quick() bool {
	// More at once than there are readers: some have been overtaken.
	return p == nil || p.average.Load() < int64(inlineTime) && int(p.inline.Load()) < runtime.GOMAXPROCS(0)
}

// count notes that handling where it was read begins, by 1, or ends, by -1.
func (p *pace) count(by int32) {
	if p != nil {
		p.inline.Add(by)
	}
}

// took notes how long an event has taken.
func (p *pace) took(d time.Duration) {
	if p != nil {
		average := p.average.Load()
		p.average.Store(average + (int64(d)-average)/8)
	}
}
