package namespaces

import (
	"sync"
	"time"
)

// What a session may fill the log with: every second so many lines about
// events of its that were refused, and one that counts the others.
const (
	refusalLines  = 10
	refusalWindow = time.Second
)

// refusals bounds the lines about refused events, so that a client which sends
// nothing but rubbish does not push everything else out of the log. It keeps
// something only of sessions with refusals in the last second.
type refusals struct {
	mu    sync.Mutex
	count map[string]int // in this second, by session
}

// log reports whether another line may be logged. At the end of the second
// rest is called with how many were not, unless that is none.
func (r *refusals) log(session string, rest func(n int)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == nil {
		r.count = make(map[string]int)
	}
	r.count[session]++
	if r.count[session] == 1 {
		time.AfterFunc(refusalWindow, func() {
			if n := r.take(session) - refusalLines; n > 0 {
				rest(n)
			}
		})
	}
	return r.count[session] <= refusalLines
}

func (r *refusals) take(session string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.count[session]
	delete(r.count, session)
	return n
}
