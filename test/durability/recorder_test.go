package durability

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// keyHeader says which execution of a node a call is of: the key of the run,
// the node and the pass of its loops.
const keyHeader = "X-Key"

// A recorder is what the http nodes of all runs call: the witness of effects.
type recorder struct {
	URL string

	mu    sync.Mutex
	calls map[string][]effect
}

// An effect is one call.
type effect struct {
	at time.Time // when it came
	id string    // Idempotency-Key
}

func startRecorder(t testing.TB) *recorder {
	r := &recorder{calls: map[string][]effect{}}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	r.URL = s.URL
	return r
}

// ServeHTTP answers after a while of up to 20 ms. It fails as often as the query
// says, or always if odd says an odd number.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	at, key := time.Now(), req.Header.Get(keyHeader)
	r.mu.Lock()
	r.calls[key] = append(r.calls[key], effect{at, req.Header.Get("Idempotency-Key")})
	n := len(r.calls[key])
	r.mu.Unlock()
	select {
	case <-time.After(latency(key)):
	case <-req.Context().Done():
		return // it was killed
	}
	w.Header()["Date"] = nil
	failures, _ := strconv.Atoi(req.URL.Query().Get("failures"))
	odd, _ := strconv.Atoi(req.URL.Query().Get("odd"))
	if n <= failures || odd%2 == 1 {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"done":true}`)
}

// latency is the same for a key whenever it comes.
func latency(key string) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(key))
	return time.Duration(h.Sum32()%20) * time.Millisecond
}

// of returns the calls of an execution.
func (r *recorder) of(key string) []effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[key]
}

// keys returns the executions that have called.
func (r *recorder) keys() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key := range r.calls {
		all = append(all, key)
	}
	return all
}
