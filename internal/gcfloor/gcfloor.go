// Package gcfloor keeps the garbage collector from running too often while the
// heap is small. By default it runs whenever the heap has doubled, which for a
// server of a few megabytes is every few milliseconds under load, a tenth of
// its processor time.
package gcfloor

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// floor is how much may be allocated between two collections, in bytes,
// whatever lives.
const floor = 16 << 20

// usual is the growth, in percent, at which Go collects by default.
const usual = 100

// Set holds the floor from now on. GOGC in the environment takes precedence.
func Set() {
	if os.Getenv("GOGC") == "" {
		adjust(new(sentinel))
	}
}

// A sentinel is garbage: its finalizer runs after each collection.
type sentinel struct{ _ *byte }

func adjust(s *sentinel) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(percent(live[0].Value.Uint64()))
	runtime.SetFinalizer(s, adjust)
}

// percent returns the growth that allows for the floor.
func percent(live uint64) int {
	return max(usual, int(floor*100/max(live, 1<<20)))
}
