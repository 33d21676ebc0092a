package gcfloor

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 1600, 1 << 20: 1600, 4 << 20: 400, 16 << 20: 100, 1 << 30: 100} {
		if got := percent(live); got != want {
			t.Errorf("%d bytes live: %d %%, want %d", live, got, want)
		}
	}
}

var kept []byte

// The floor follows the heap, up and down.
func TestSet(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(usual)
	t.Cleanup(func() { debug.SetGCPercent(before); kept = nil })
	Set()
	until(func(percent uint64) bool { return percent > usual })
	kept = make([]byte, 64<<20)
	until(func(percent uint64) bool { return percent == usual })
	kept = nil
	until(func(percent uint64) bool { return percent > usual })
}

// until collects until the growth is as it should be.
func until(ok func(percent uint64) bool) {
	gogc := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for {
		runtime.GC()
		metrics.Read(gogc)
		if ok(gogc[0].Value.Uint64()) {
			return
		}
	}
}
