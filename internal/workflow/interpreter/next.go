package interpreter

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Work is a node to execute.
type Work struct {
	Node      string `json:"node"`
	Iteration string `json:"iteration,omitempty"`
	Attempt   int    `json:"attempt"` // from 1
	// Pure work has no record that it began; it may be done at once.
	Pure bool `json:"pure,omitempty"`
}

// Next makes the entries that follow by themselves and returns the work to do
// now. It is to be called after anything has happened.
func (m *Machine) Next(now time.Time) []Work {
	var work []Work
	for m.ended == nil {
		if limit := m.opts.MaxEntries; limit > 0 && m.seq >= limit {
			m.mustAdd(RunEnded, nil, Ending{Status: events.RunFailed, Error: fmt.Sprintf("its log has as many entries as workflow.maxEntries allows, which is %d", limit)}, now)
			return nil
		}
		work = append(work, m.start(now)...)
		if end := m.outcome(); end != nil {
			m.mustAdd(RunEnded, nil, *end, now)
			return nil
		}
		if !m.advanceLoops(now) {
			return work
		}
	}
	return nil
}

// mustAdd is add for data that cannot fail to be encoded.
func (m *Machine) mustAdd(typ EntryType, n *node, data any, now time.Time) {
	if err := m.add(typ, n, data, now); err != nil {
		panic("interpreter: " + err.Error()) // it is made of texts, numbers and JSON
	}
}

// start hands out the nodes that may run, in the order of the definition.
func (m *Machine) start(now time.Time) []Work {
	if m.failed != "" {
		return nil
	}
	slices.Sort(m.touched)
	candidates := slices.Compact(m.touched)
	m.touched = nil
	var work []Work
	for _, i := range candidates {
		if n := &m.nodes[i]; m.enabled(n) {
			work = append(work, m.hand(n, now))
		}
	}
	return work
}

// hand hands out a node.
func (m *Machine) hand(n *node, now time.Time) Work {
	w := Work{Node: n.ID, Iteration: m.iteration(n), Attempt: n.attempt + 1, Pure: m.opts.Pure(n.Type)}
	if w.Pure {
		n.status = computing
	} else {
		m.mustAdd(NodeDispatched, n, nil, now)
	}
	return w
}

// Unfinished returns the work that was handed out, with a record, and has no
// result: after a crash nobody knows how far it got, and it is to be done again.
func (m *Machine) Unfinished() []Work {
	var work []Work
	if m.ended != nil {
		return nil
	}
	for i := range m.nodes {
		if n := &m.nodes[i]; n.status == dispatched {
			work = append(work, Work{Node: n.ID, Iteration: m.iteration(n), Attempt: n.attempt + 1})
		}
	}
	return work
}

// advanceLoops begins the next passes of loops, and ends loops, of which all
// items are done. It reports whether it did anything.
func (m *Machine) advanceLoops(now time.Time) bool {
	advanced := false
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.status != looping || n.loop == nil {
			continue
		}
		if !n.loop.over {
			if !m.quiet(n) {
				continue
			}
			m.conclude(n)
		}
		switch next := n.loop.index + 1; {
		case m.opts.MaxResult > 0 && n.loop.size > m.opts.MaxResult: // another attempt would not help
			m.failFinally(n, nil, fmt.Sprintf("its results of %d items are larger than workflow.maxResult, which is %d bytes", len(n.loop.results), m.opts.MaxResult), now)
			advanced = true
		case next >= len(n.loop.Items), m.skipping(n):
			m.mustAdd(NodeCompleted, n, Completion{Output: m.results(n.loop), Variable: n.Variable, Handle: graph.CompletedHandle}, now)
			advanced = true
		case !n.until.After(now):
			m.mustAdd(IterationStarted, n, Iteration{next}, now)
			advanced = true
		}
	}
	return advanced
}

func (m *Machine) results(l *loop) json.RawMessage {
	if len(l.results) == 0 {
		return json.RawMessage("[]")
	}
	raw, err := json.Marshal(l.results)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// outcome returns how the run ends, nil while it goes on: at an end node, at a
// failure, or when nothing is left to do.
func (m *Machine) outcome() *Ending {
	if m.failed != "" {
		return &Ending{Status: events.RunFailed, Error: m.failed}
	}
	if len(m.plan.Nodes) == 0 {
		return nil // it goes on elsewhere
	}
	active := false
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.Type == endType && n.status == done {
			return m.atEnd(n)
		}
		active = active || n.status.active()
	}
	if active {
		return nil
	}
	return &Ending{Status: events.RunCompleted}
}

// atEnd is how a run ends at an end node.
func (m *Machine) atEnd(n *node) *Ending {
	var output struct {
		Status string          `json:"status"`
		Output json.RawMessage `json:"workflowOutput"`
	}
	json.Unmarshal(m.raw[hidden+"node_"+n.ID], &output) // a node that failed has none
	if output.Status == "failed" {
		return &Ending{Status: events.RunFailed, Error: "the workflow ended at " + n.Title(), Output: output.Output}
	}
	return &Ending{Status: events.RunCompleted, Output: output.Output}
}
