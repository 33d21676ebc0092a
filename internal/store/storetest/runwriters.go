package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// runWriters makes two instances, and several goroutines of each, write
// batches of their own runs, of the same new definitions in different orders,
// and of runs of the other, which are refused.
func runWriters(t *testing.T, a, b *store.DB) {
	const batches, size = 8, 10
	tenant := uuid.NewString()
	var plans []*graph.Plan
	for i := range size {
		plans = append(plans, graph.NewPlan(graph.Definition{Nodes: []graph.Node{{ID: fmt.Sprint(tenant, i), Type: "start"}}}))
	}
	var all sync.WaitGroup
	for i, db := range []*store.DB{a, b, a, b} {
		all.Go(func() {
			s, owner := db.Workflows(), fmt.Sprint(i)
			for n := range batches {
				var created, added []workflow.Write
				for k := range size {
					r := newRun(tenant, owner)
					r.Plan = plans[(n+k*(1+2*i))%size]
					created = append(created, creation(r))
					added = append(added, addition(r, entry(2, interpreter.NodeDispatched, "")), addition(r, entry(3, interpreter.RunEnded, completed)))
				}
				refused, err := s.Write(t.Context(), created)
				if err := errors.Join(append(refused, err)...); err != nil {
					t.Error(err)
					return
				}
				for half := range 2 {
					var part []workflow.Write
					for k := range size {
						part = append(part, added[2*k+half])
					}
					refused, err = s.Write(t.Context(), part)
					if err := errors.Join(append(refused, err)...); err != nil {
						t.Error(err)
						return
					}
				}
				stolen := addition(*created[0].Create, entry(4, interpreter.SystemSet, ""))
				stolen.Owner = "nobody"
				refused, err = s.Write(t.Context(), []workflow.Write{stolen})
				if err != nil || refused[0] == nil {
					t.Errorf("of another: %v, %v", refused, err)
				}
			}
		})
	}
	all.Wait()
	runs, err := b.Workflows().Runs(t.Context(), tenant, "", 1000)
	check(t, err)
	same(t, len(runs), 4*batches*size)
	for _, r := range runs {
		same(t, r.Status, events.RunCompleted)
	}
}

// createOnce makes all create the same runs: each is created once.
func createOnce(t *testing.T, a, b *store.DB) {
	const n = 20
	tenant := uuid.NewString()
	var ids []string
	for range n {
		ids = append(ids, uuid.NewString())
	}
	var made atomic.Int32
	var who atomic.Int32
	both(2, a, b, func(db *store.DB) {
		me := who.Add(1)
		var all []workflow.Write
		for i := range ids {
			r := newRun(tenant, fmt.Sprint(me))
			r.ID = ids[(i*7+int(me))%n]
			all = append(all, creation(r))
		}
		refused, err := db.Workflows().Write(t.Context(), all)
		if err != nil {
			t.Error(err)
		}
		for _, err := range refused {
			if err == nil {
				made.Add(1)
			} else {
				is(t, err, workflow.ErrExists)
			}
		}
	})
	same(t, made.Load(), int32(n))
	for _, id := range ids {
		_, entries := read(t, a.Workflows(), id)
		same(t, entries, 1)
	}
}
