package socketio

import (
	"maps"
	"sync"
)

// RecoveryStats tell what became of sessions whose clients lost their
// connection.
type RecoveryStats struct {
	Saved     int64 // sessions that were kept for their clients
	Alone     int64 // of those, kept here although other servers should find them
	Recovered int64
	// Refused are those that began anew although their clients asked, by why.
	Refused map[string]int64
}

// Why a client begins anew.
const (
	refusedUnknown   = "unknown"   // there is no such session: it is over, or another's
	refusedOffset    = "offset"    // what the client says it has is no offset
	refusedTrimmed   = "trimmed"   // what the client lacks was not kept for it
	refusedMissed    = "missed"    // what was published meanwhile cannot be had
	refusedForbidden = "forbidden" // it may not be in its rooms any more
)

// recoveryCounts are the RecoveryStats of now.
type recoveryCounts struct {
	mu sync.Mutex
	RecoveryStats
}

func (c *recoveryCounts) saved(shared, kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Saved++
	if shared && !kept {
		c.Alone++
	}
}

// asked counts a client that came back; why is "" if it goes on.
func (c *recoveryCounts) asked(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case why == "":
		c.Recovered++
	case c.Refused == nil:
		c.Refused = map[string]int64{why: 1}
	default:
		c.Refused[why]++
	}
}

func (c *recoveryCounts) stats() RecoveryStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.RecoveryStats
	s.Refused = maps.Clone(s.Refused)
	return s
}
