package redis

import (
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// With the classic adapter everybody sees all answers, and only who asked
// knows what they mean. requests remembers what this server asked, for
// remembered at least, but not more than 2*maxRequests.
type requests struct {
	mu            sync.Mutex
	recent, older map[string]cluster.Kind
	since         time.Time
}

const (
	remembered  = 5 * time.Minute
	maxRequests = 1 << 15
)

func (r *requests) add(id string, kind cluster.Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.recent == nil || len(r.recent) >= maxRequests || time.Since(r.since) > remembered {
		r.older, r.recent, r.since = r.recent, make(map[string]cluster.Kind), time.Now()
	}
	r.recent[id] = kind
}

func (r *requests) kind(id string) (cluster.Kind, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind, ok := r.recent[id]; ok {
		return kind, true
	}
	kind, ok := r.older[id]
	return kind, ok
}
