package socketio

import (
	"sync/atomic"
	"time"
)

// An event is best handled where it was read, unless that takes long: others
// are read there too. How long an event takes is learnt from those before it.

// pace is how long the handler of an event takes, in nanoseconds: an average
// in which the latest counts for an eighth.
type pace struct{ average atomic.Int64 }

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

// quick reports whether an event can be handled where it was read. To refuse
// an event that nobody knows is quick.
func (sp *space) quick(event string) bool {
	p := sp.paces[event]
	return p == nil || p.average.Load() < int64(inlineTime)
}

// took notes how long an event has taken.
func (sp *space) took(event string, d time.Duration) {
	if p := sp.paces[event]; p != nil {
		average := p.average.Load()
		p.average.Store(average + (int64(d)-average)/8)
	}
}
