// Package slowreader proves that a client which does not read is its own
// problem: not that of the server's memory, nor of others in its room.
package slowreader

import (
	"flag"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
)

var full = flag.Bool("full", false, "compare the latency of the others as well, in 16 rounds with and without a slow reader")

const (
	size      = 4 << 10                      // bytes of a publication
	every     = 2 * time.Millisecond         // between publications: 500/s
	members   = 20                           // that read
	sendLimit = 1 << 20                      // bytes that the server keeps for a client
	length    = int(2 * time.Second / every) // publications of a round
)

// A client that never reads costs what its limit says, is told why it was
// closed and is counted. The others get everything, in order.
func TestSlowReaderIsCutOff(t *testing.T) {
	s := serve(t)
	g := s.gather(t)
	g.round(t, 100, nil) // what is made once is made
	heap := liveHeap()
	slow := s.enter(t)
	var worstHeap uint64
	var worstQueue int
	g.round(t, length, func(i int) {
		worstQueue = max(worstQueue, s.server.TransportStats().Queued)
		if i%100 == 0 {
			worstHeap = max(worstHeap, liveHeap())
		}
	})
	t.Logf("at most %d bytes were queued, the heap grew by %d KiB", worstQueue, (int64(worstHeap)-int64(heap))>>10)
	if worstQueue > sendLimit+members*2*size {
		t.Errorf("%d bytes were queued, the limit is %d", worstQueue, sendLimit)
	}
	// The allocator rounds up what is kept.
	if grown := int64(worstHeap) - int64(heap); grown > 2*sendLimit {
		t.Errorf("the heap grew by %d bytes, the limit is %d", grown, sendLimit)
	}
	if err := slow.closed(); err == nil || err.Code != 1008 || err.Reason != "send buffer full" {
		t.Errorf("the slow reader was closed with %v", err)
	}
	// The connection has ended when the server has seen the client's answer.
	const want = `roomcast_connections_closed_total{reason="send buffer full"} 1`
	eventually.True(t, func() bool { return strings.Contains(s.metrics(t), want) },
		func() string { return "the metrics lack " + want })
}

func (s *server) metrics(t *testing.T) string {
	t.Helper()
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func liveHeap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The latency of the others is what it is without a slow reader. To compare
// takes a minute and a quiet machine; in one round they all just get everything.
func TestOthersAreNotSlowed(t *testing.T) {
	rounds := 1
	if *full {
		rounds = 16
	}
	s := serve(t)
	g := s.gather(t)
	g.round(t, 1000, nil)
	var alone, beside []time.Duration
	for i := range rounds {
		// Whatever else drifts meanwhile must not favour either.
		if i%2 == 0 {
			alone = append(alone, p99(g.round(t, length, nil)))
		}
		stop := s.keepSlow(t)
		beside = append(beside, p99(g.round(t, length, nil)))
		queued := stop()
		if queued < sendLimit/2 {
			t.Error("the slow readers were not slow")
		}
		if i%2 == 1 {
			alone = append(alone, p99(g.round(t, length, nil)))
		}
		t.Logf("p99 %v alone, %v beside a slow reader, for which up to %d bytes were queued", alone[i], beside[i], queued)
	}
	if !*full {
		return
	}
	a, b := middle(alone), middle(beside)
	t.Logf("median of the rounds: p99 %v alone, %v beside a slow reader: %+.0f %%", a, b, 100*(float64(b)/float64(a)-1))
	if b > a+a/5 {
		t.Errorf("p99 rose from %v to %v", a, b)
	}
}

func p99(latencies []time.Duration) time.Duration {
	slices.Sort(latencies)
	return latencies[len(latencies)*99/100]
}

func middle(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// keepSlow has a client in the room that does not read, until stop is called.
// stop returns the most that was queued.
func (s *server) keepSlow(t *testing.T) (stop func() (queued int)) {
	t.Helper()
	over := make(chan struct{})
	var done sync.WaitGroup
	slow, queued := s.enter(t), 0
	done.Go(func() {
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-over:
				return
			case <-look.C:
				queued = max(queued, s.server.TransportStats().Queued)
			}
		}
	})
	return func() int {
		close(over)
		done.Wait()
		slow.Close()
		return queued
	}
}
