package journal_test

import (
	"sync"
	"testing"
	"time"
)

// BenchmarkRuns is how many three-node runs are carried on at once, from being
// asked for to being stored as over.
func BenchmarkRuns(b *testing.B) {
	f := newFixture(b)
	d := linear(b, startNode, transform("input.n * 21", "answer"), `{"type":"end","data":{"outputParameters":[{"name":"answer","sourceVariable":"{{ctx.answer}}"}]}}`)
	w, err := f.svc.Create(b.Context(), admin, "acme", "W", d)
	if err != nil {
		b.Fatal(err)
	}
	f.quiet = true
	var all sync.WaitGroup
	began := time.Now()
	for range 32 {
		all.Go(func() {
			for range b.N / 32 {
				if _, err := f.svc.Execute(b.Context(), member, w.ID, map[string]any{"n": 2}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N/32*32)/time.Since(began).Seconds(), "runs/s")
}
