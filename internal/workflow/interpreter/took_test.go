package interpreter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// How long nodes took follows from the log.
func TestTook(t *testing.T) {
	m := interpreter.New(graph.NewPlan(graph.Definition{}), interpreter.Options{})
	var got []string
	for n, e := range []struct {
		typ  interpreter.EntryType
		node string
		at   time.Duration
	}{
		{interpreter.InputSet, "", 0},
		{interpreter.NodeCompleted, "computes", 1},
		{interpreter.NodeDispatched, "a", 2},
		{interpreter.NodeSuspended, "b", 3},
		{interpreter.NodeRetry, "a", 10},
		{interpreter.NodeDispatched, "a", 11}, // again, after a crash
		{interpreter.NodeCompleted, "b", 15},
		{interpreter.NodeFailed, "a", 22},
		{interpreter.NodeDispatched, "a", 30}, // in the next pass of a loop
		{interpreter.NodeCompleted, "a", 31},
		{interpreter.NodeDispatched, "a", 40},
		{interpreter.NodeCompleted, "a", 39}, // by another clock
	} {
		m.Apply(interpreter.Entry{Seq: uint64(n + 1), Type: e.typ, Node: e.node, At: time.UnixMilli(0).Add(e.at * time.Millisecond)})
		got = append(got, fmt.Sprint(m.Took().Milliseconds()))
	}
	if want := "[0 0 0 0 0 0 12 20 0 1 0 0]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What is computed while entries are made is what is computed from the log,
// whose times are in microseconds.
func TestTookOfTheLog(t *testing.T) {
	var log []interpreter.Entry
	m := interpreter.New(graph.NewPlan(graph.Definition{}), interpreter.Options{})
	m.Record(func(e interpreter.Entry) { log = append(log, e) })
	began := time.Unix(0, 999)
	m.Add(interpreter.Entry{Type: interpreter.NodeDispatched, Node: "a"}, began)
	m.Add(interpreter.Entry{Type: interpreter.NodeCompleted, Node: "a"}, began.Add(time.Millisecond-time.Nanosecond*500))
	again := interpreter.New(graph.NewPlan(graph.Definition{}), interpreter.Options{})
	for _, e := range log {
		e.At = time.UnixMicro(e.At.UnixMicro())
		again.Apply(e)
	}
	if m.Took() != again.Took() || m.Took() != time.Millisecond {
		t.Errorf("%v, and %v from the log", m.Took(), again.Took())
	}
}
