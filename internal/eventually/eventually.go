// Package eventually waits, in tests, for what nothing signals: a figure that
// another process or goroutine will come to.
package eventually

import (
	"testing"
	"time"
)

// Patience is how long what must come may take on a machine that is busy with
// other tests.
const Patience = 15 * time.Second

// True returns when a condition holds, and fails the test when it does not come
// to. explain, if any, is asked then what there is instead.
func True(t testing.TB, condition func() bool, explain ...func() string) {
	t.Helper()
	if Within(Patience, time.Millisecond, condition) {
		return
	}
	instead := ""
	for _, fn := range explain {
		instead += ": " + fn()
	}
	t.Fatalf("the condition never came%s", instead)
}

// Within reports whether a condition holds now or within a time, asking every
// so often.
func Within(d, every time.Duration, condition func() bool) bool {
	over := time.NewTimer(d)
	defer over.Stop()
	again := time.NewTicker(every)
	defer again.Stop()
	for !condition() {
		select {
		case <-again.C:
		case <-over.C:
			return condition()
		}
	}
	return true
}
