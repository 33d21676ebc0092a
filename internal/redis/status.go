package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// status is how a bus is doing.
type status struct {
	sent, notes atomic.Int64

	mu     sync.Mutex
	up     bool
	since  time.Time
	reason string
	ups    int64
}

func (s *status) set(up bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if up != s.up || s.since.IsZero() {
		s.since = time.Now()
	}
	if up && !s.up {
		s.ups++
	}
	s.up, s.reason = up, reason
}

// Status implements [cluster.Bus].
func (b *Bus) Status() cluster.Status {
	s := &b.status
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting, lost := b.out.figures()
	return cluster.Status{
		Up: s.up, Since: s.since, Error: s.reason, Waiting: waiting, Lost: lost,
		Received: b.in.received.Load(), Sent: s.sent.Load(), Reconnects: max(0, s.ups-1),
	}
}

// Counters are figures for metrics, from the start of the process.
type Counters struct {
	Malformed int64 // messages that did not decode
	Repeated  int64 // messages that had been delivered before
	Resyncs   int64 // how often the receiver was told to look after what it missed
	Notes     int64 // that were received
}

// Counters returns them.
func (b *Bus) Counters() Counters {
	return Counters{Malformed: b.in.malformed.Load(), Repeated: b.in.repeated.Load(), Resyncs: b.in.resyncs.Load(), Notes: b.status.notes.Load()}
}
