package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

func entry(seq uint64, typ interpreter.EntryType, data string) interpreter.Entry {
	e := interpreter.Entry{Seq: seq, Type: typ, Node: "n", Iteration: "4.0", At: now}
	if data != "" {
		e.Data = json.RawMessage(data)
	}
	return e
}

// newRun is one that has not been stored.
func newRun(tenant, owner string) workflow.Run {
	return workflow.Run{
		ID: uuid.NewString(), WorkflowID: "w", Tenant: tenant, Title: "T", Status: events.RunPending, Plan: plan(),
		StartedBy: "ada", StartedAt: now, Engine: workflow.Embedded, Owner: owner,
	}
}

// creation is the write that creates a run with its inputs, and with what
// happened at once.
func creation(r workflow.Run, more ...interpreter.Entry) workflow.Write {
	return workflow.Write{Create: &r, Entries: append([]interpreter.Entry{entry(1, interpreter.InputSet, `{"a":1}`)}, more...)}
}

func addition(r workflow.Run, entries ...interpreter.Entry) workflow.Write {
	return workflow.Write{RunID: r.ID, Owner: r.Owner, Entries: entries}
}

// write does one write.
func write(t *testing.T, s store.Workflows, w workflow.Write) error {
	t.Helper()
	refused, err := s.Write(t.Context(), []workflow.Write{w})
	check(t, err)
	same(t, len(refused), 1)
	return refused[0]
}

// read returns a run and how many entries it has.
func read(t *testing.T, s store.Workflows, id string) (workflow.Run, int) {
	t.Helper()
	r, err := s.Run(t.Context(), id)
	check(t, err)
	log, err := s.Log(t.Context(), id, 0)
	check(t, err)
	for i, e := range log {
		same(t, e.Seq, uint64(i+1))
	}
	return r, len(log)
}

func runs(t *testing.T, s store.Workflows) {
	ctx := t.Context()
	tenant := uuid.NewString()
	stored := func(workflowID string, at time.Time, engine workflow.EngineName, parent string) workflow.Run {
		r := newRun(tenant, "one")
		r.WorkflowID, r.StartedAt, r.Engine, r.Parent, r.Depth = workflowID, at, engine, parent, 3
		check(t, write(t, s, creation(r)))
		return r
	}
	a, b := stored("w1", now, workflow.Embedded, ""), stored("w1", now.Add(time.Second), workflow.Embedded, "")
	other := stored("w2", now.Add(2*time.Second), workflow.Temporal, a.ID)
	for _, r := range []workflow.Run{a, other} {
		got, err := s.Run(ctx, r.ID)
		check(t, err)
		same(t, got, r)
	}
	added := []interpreter.Entry{entry(2, interpreter.NodeDispatched, ""), entry(3, interpreter.NodeCompleted, `{"output":[1,2]}`)}
	check(t, write(t, s, addition(a, added...)))
	got, _ := s.Run(ctx, a.ID)
	if got.Status != events.RunRunning {
		t.Errorf("status %s", got.Status)
	}
	if _, err := s.Write(ctx, []workflow.Write{addition(a, entry(3, interpreter.NodeCompleted, ""))}); err == nil {
		t.Error("the same number was stored twice")
	}
	log, err := s.Log(ctx, a.ID, 1)
	check(t, err)
	same(t, log, added)

	check(t, write(t, s, addition(a, entry(4, interpreter.RunEnded, `{"status":"FAILED","error":"why"}`))))
	got, _ = s.Run(ctx, a.ID)
	if got.Status != events.RunFailed || got.Error != "why" || !got.EndedAt.Equal(now) {
		t.Errorf("%+v", got)
	}
	is(t, write(t, s, addition(a, entry(5, interpreter.SystemSet, ""))), workflow.ErrNotFound)
	heads, err := s.LogHeads(ctx, []string{a.ID, b.ID, "nobody"})
	check(t, err)
	same(t, heads, map[string]uint64{a.ID: 4}) // nothing of b is seen
	log, err = s.Log(ctx, a.ID, 4)
	check(t, err)
	same(t, len(log), 0) // nothing is left of what was refused

	ids := func(runs []workflow.Run, err error) (ids []string) {
		t.Helper()
		check(t, err)
		for _, r := range runs {
			if r.Tenant == tenant {
				ids = append(ids, r.ID)
			}
		}
		return ids
	}
	same(t, ids(s.Runs(ctx, tenant, "", 10)), []string{other.ID, b.ID, a.ID})
	same(t, ids(s.Runs(ctx, tenant, "w1", 1)), []string{b.ID})
	same(t, ids(s.AbandonedRuns(ctx, 1000)), []string{b.ID}) // the other is not of this engine
	second := stored("w2", now, workflow.Embedded, a.ID)
	check(t, write(t, s, addition(second, entry(2, interpreter.RunEnded, `{"status":"COMPLETED"}`))))
	same(t, ids(s.ChildRuns(ctx, a.ID)), []string{second.ID, other.ID})
	same(t, ids(s.ChildRuns(ctx, "")), []string(nil))
	_, err = s.Run(ctx, "nobody")
	is(t, err, workflow.ErrNotFound)
	is(t, write(t, s, workflow.Write{RunID: "nobody", Owner: "one"}), workflow.ErrNotFound)
}

// definitions are stored once and decoded once.
func definitions(t *testing.T, s store.Workflows) {
	ctx, tenant := t.Context(), uuid.NewString()
	named := func(title string) *graph.Plan {
		return graph.NewPlan(graph.Definition{Nodes: []graph.Node{{ID: title, Type: "start", Data: map[string]any{"title": tenant}}}})
	}
	var all []workflow.Write
	for i := range 6 {
		r := newRun(tenant, "one")
		r.Plan = named(string(rune('a' + i%2)))
		all = append(all, creation(r))
	}
	refused, err := s.Write(ctx, all)
	check(t, err)
	same(t, refused, make([]error, 6))
	runs, err := s.Runs(ctx, tenant, "", 10)
	check(t, err)
	same(t, len(runs), 6)
	plans := make(map[*graph.Plan]int)
	for _, r := range runs {
		plans[r.Plan]++
	}
	same(t, len(plans), 2)
	for _, w := range all {
		got, _ := read(t, s, w.Create.ID)
		same(t, got, *w.Create)
		if plans[got.Plan] != 3 {
			t.Error("a definition was decoded again")
		}
	}
	w := workflow.Workflow{ID: uuid.NewString(), Tenant: tenant, Plan: named("w"), CreatedAt: now, UpdatedAt: now}
	check(t, s.CreateWorkflow(ctx, w))
	first, err := s.Workflow(ctx, w.ID)
	check(t, err)
	list, err := s.Workflows(ctx, tenant)
	check(t, err)
	if first.Plan != list[0].Plan {
		t.Error("the definition of a workflow was decoded again")
	}
}
