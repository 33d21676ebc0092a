package journal_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// children returns the runs that a run waits for, or has waited for.
func (f *fixture) children(run workflow.Run) []workflow.Run {
	f.t.Helper()
	list, err := f.db.Workflows().ChildRuns(f.t.Context(), run.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// An item that is given up takes the runs with it that its body waits for.
func TestSkippedItemEndsItsRuns(t *testing.T) {
	f := newFixture(t)
	child, err := f.svc.Create(t.Context(), admin, "acme", "child", linear(t, startNode, form))
	if err != nil {
		t.Fatal(err)
	}
	begun := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-begun
		w.WriteHeader(http.StatusTeapot)
	}))
	defer srv.Close()
	run := f.run(def(t, `{"nodes":[{"id":"s","type":"start"},{"id":"l","type":"loop","data":{"sourceVariable":"input.list"}},
		{"id":"c","type":"subWorkflow","data":{"workflowID":"`+child.ID+`"}},
		{"id":"h","type":"http","data":{"url":"`+srv.URL+`","errorHandling":"skip_item"}},
		{"id":"f","type":"dataCollection","data":{}}],
		"edges":[{"source":"s","target":"l"},{"source":"l","target":"c","sourceHandle":"loop"},{"source":"l","target":"h","sourceHandle":"loop"},{"source":"l","target":"f","sourceHandle":"completed"}]}`), map[string]any{"list": []any{"x"}})
	eventually.True(t, func() bool { list := f.children(run); return len(list) == 1 && list[0].Status == events.RunRunning })
	close(begun)
	eventually.True(t, func() bool { return f.children(run)[0].Status == events.RunCancelled })
}

// A workflow that runs itself many times over is bounded as its tenant is.
func TestRunsOfRunsAreBounded(t *testing.T) {
	f := newFixture(t)
	f.build(f.db.Workflows(), journal.Options{RunsPerTenant: 5})
	w, err := f.svc.Create(t.Context(), admin, "acme", "bomb", linear(t, startNode))
	if err != nil {
		t.Fatal(err)
	}
	d := graph.Definition{Nodes: []graph.Node{{ID: "s", Type: "start"}}}
	for i := range 10 {
		id := fmt.Sprint("c", i)
		d.Nodes = append(d.Nodes, graph.Node{ID: id, Type: "subWorkflow", Data: map[string]any{"workflowID": w.ID}})
		d.Edges = append(d.Edges, graph.Edge{Source: "s", Target: id})
	}
	if _, err := f.svc.Change(t.Context(), admin, w.ID, "", &d); err != nil {
		t.Fatal(err)
	}
	run, err := f.svc.Execute(t.Context(), member, w.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := f.finish(run)
	if last := got[len(got)-1]; !strings.Contains(last, "runs of this tenant go on already") {
		t.Error(last)
	}
	eventually.True(t, func() bool { return f.eng.Counts().Live == 0 })
	all, err := f.svc.Runs(t.Context(), admin, "acme", "", 1000)
	if err != nil || len(all) > 100 {
		t.Errorf("%d runs, %v", len(all), err)
	}
}

// A run whose parent ended with its process ends when it is taken up.
func TestRunsOfRunsThatAreOver(t *testing.T) {
	f := newFixture(t)
	child, err := f.svc.Create(t.Context(), admin, "acme", "child", linear(t, startNode, form))
	if err != nil {
		t.Fatal(err)
	}
	run := f.run(linear(t, startNode, `{"type":"subWorkflow","data":{"workflowID":"`+child.ID+`"}}`), nil)
	eventually.True(t, func() bool { list := f.children(run); return len(list) == 1 && list[0].Status == events.RunRunning })
	f.eng.Lost()
	state, err := f.svc.State(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := f.db.Workflows().Run(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := interpreter.NewEntry(interpreter.RunEnded, "", "", interpreter.Ending{Status: events.RunStopped})
	end.Seq, end.At = uint64(len(state.Log)+1), time.Now()
	if refused, err := f.db.Workflows().Write(t.Context(), []workflow.Write{{RunID: run.ID, Owner: stored.Owner, Entries: []interpreter.Entry{end}}}); err != nil || refused[0] != nil {
		t.Fatal(refused, err)
	}
	f.build(f.db.Workflows(), journal.Options{})
	if err := f.eng.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, func() bool { return f.children(run)[0].Status == events.RunCancelled })
}
