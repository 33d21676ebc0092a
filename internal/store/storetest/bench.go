package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// BenchmarkWrite measures batches of writes, of those that add entries to runs
// and of those that create them.
func BenchmarkWrite(b *testing.B, db *store.DB) {
	for _, size := range []struct{ runs, entries int }{{1, 5}, {50, 5}, {200, 20}} {
		b.Run(fmt.Sprintf("add/%dx%d", size.runs, size.entries), func(b *testing.B) {
			runs := benchRuns(size.runs)
			doWrites(b, db, runs, func(r workflow.Run) workflow.Write { return creation(r) })
			seq := uint64(2)
			for b.Loop() {
				doWrites(b, db, runs, func(r workflow.Run) workflow.Write { return addition(r, benchEntries(seq, size.entries)...) })
				seq += uint64(size.entries)
			}
			b.ReportMetric(float64(b.N*size.runs*size.entries)/b.Elapsed().Seconds(), "entries/s")
		})
	}
	b.Run("create/50x5", func(b *testing.B) {
		for b.Loop() {
			doWrites(b, db, benchRuns(50), func(r workflow.Run) workflow.Write { return creation(r, benchEntries(2, 4)...) })
		}
		b.ReportMetric(float64(b.N*50*5)/b.Elapsed().Seconds(), "entries/s")
	})
}

func benchRuns(n int) (all []workflow.Run) {
	shared := plan()
	for range n {
		r := newRun("acme", "one")
		r.Plan = shared
		all = append(all, r)
	}
	return all
}

func benchEntries(seq uint64, n int) (all []interpreter.Entry) {
	data := json.RawMessage(`{"output":"` + strings.Repeat("x", 150) + `","handle":"output"}`)
	for i := range n {
		all = append(all, interpreter.Entry{Seq: seq + uint64(i), Type: interpreter.NodeCompleted, Node: "node-4", Data: data, At: now})
	}
	return all
}

// doWrites does a write for each run.
func doWrites(b *testing.B, db *store.DB, runs []workflow.Run, write func(workflow.Run) workflow.Write) {
	b.Helper()
	var all []workflow.Write
	for _, r := range runs {
		all = append(all, write(r))
	}
	refused, err := db.Workflows().Write(b.Context(), all)
	if err := errors.Join(append(refused, err)...); err != nil {
		b.Fatal(err)
	}
}
