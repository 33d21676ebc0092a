package interpreter

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Apply moves the state on by one entry, which has a number.
func (m *Machine) Apply(e Entry) {
	m.seq, m.at, m.took = e.Seq, e.At, 0
	if e.Visible() {
		m.prev, m.shown = m.shown, e.Seq
	}
	m.begun = m.begun || e.Type != InputSet
	switch e.Type {
	case InputSet:
		m.set("input", e.Data)
	case SystemSet:
		a := Decode[Assignment](e)
		m.received(a.InputID)
		m.set(a.Key, a.Value)
	case RunEnded:
		end := Decode[Ending](e)
		m.received(end.InputID)
		m.ended = &end
	default:
		m.applyNode(m.find(e.Node), e)
	}
}

func (m *Machine) applyNode(n *node, e Entry) {
	m.clock(n, e)
	switch e.Type {
	case NodeDispatched:
		n.status = dispatched
	case NodeSuspended:
		n.status, n.suspended, n.since = suspended, Decode[Suspension](e), e.Seq
		setType(n, n.suspended.NodeType)
		if n.suspended.Until != nil {
			n.until = *n.suspended.Until
		}
	case NodeRetry:
		r := Decode[Retry](e)
		n.status, n.attempt, n.until, n.since = retrying, r.Attempt, r.Until, e.Seq
	case LoopStarted:
		n.status, n.since = looping, e.Seq
		n.loop = newLoop(Decode[Loop](e))
	case IterationStarted:
		m.begin(n, Decode[Iteration](e).Index)
	case NodeCompleted:
		c := Decode[Completion](e)
		m.received(c.InputID)
		setType(n, c.NodeType)
		m.store(n, c.Variable, c.Output)
		m.leave(n, c.Handle)
		m.collect(n, c.Output)
	case NodeFailed:
		f := Decode[Failure](e)
		setType(n, f.NodeType)
		m.store(n, f.Variable, f.Output)
		m.applyFailure(n, f)
	}
}

// clock notes when a node began, and how long it took: from the first entry
// about it to its end, with all attempts and waiting.
func (m *Machine) clock(n *node, e Entry) {
	switch e.Type {
	case NodeCompleted, NodeFailed:
		if !n.began.IsZero() {
			m.took = max(0, e.At.Sub(n.began))
		}
		n.began = time.Time{}
	default:
		if n.began.IsZero() {
			n.began = e.At
		}
	}
}

// setType notes the type of a node that is in no plan.
func setType(n *node, typ string) {
	if n.Index < 0 && typ != "" {
		n.Type = typ
	}
}

func (m *Machine) applyFailure(n *node, f Failure) {
	switch {
	case f.Skip && n.Loop >= 0:
		n.status = done
		m.skip(&m.nodes[n.Loop])
	case f.Handle == "" && m.failed == "" && n.Index >= 0:
		m.failed = "node " + n.Title() + ": " + f.Error
		fallthrough
	default:
		m.leave(n, f.Handle)
		if f.Handle != "" {
			m.collect(n, f.Output)
		}
	}
}

// received remembers an order that may come again, because whoever sent it did
// not hear that it came.
func (m *Machine) received(id string) {
	if id != "" {
		m.inputs[id] = true
	}
}

// hidden begins the names of variables that clients do not see.
const hidden = "__"

// set gives a variable a value.
func (m *Machine) set(name string, raw json.RawMessage) {
	if len(raw) == 0 {
		raw = json.RawMessage("null")
	}
	m.assign(name, Value(raw), raw)
}

func (m *Machine) assign(name string, v any, raw json.RawMessage) {
	m.visible.note(name, raw, m.raw)
	m.size += len(raw) - len(m.raw[name])
	m.vars[name], m.raw[name] = v, raw
}

// store keeps the output of a node where later ones find it.
func (m *Machine) store(n *node, variable string, output json.RawMessage) {
	own := hidden + "node_" + n.ID
	m.set(own, output)
	if variable != "" {
		m.assign(variable, m.vars[own], m.raw[own])
	}
}

// leave decides the edges that go out of a node which is done.
func (m *Machine) leave(n *node, handle string) {
	n.status, n.loop = done, nil
	for _, i := range n.Out {
		if m.plan.Edges[i].Handle == handle {
			m.take(i)
		} else {
			m.kill(i)
		}
	}
}

func (m *Machine) take(edge int) {
	m.edges[edge] = taken
	m.touch(m.plan.Edges[edge].Target)
}

// kill marks an edge that nothing will come along, and what lies behind it.
func (m *Machine) kill(edge int) {
	m.edges[edge] = dead
	e := m.plan.Edges[edge]
	if e.Target < 0 || e.Back {
		return
	}
	n := &m.nodes[e.Target]
	m.touch(e.Target)
	if n.status != waiting || n.Type == startType || slices.ContainsFunc(n.In, func(i int) bool { return m.edges[i] != dead }) {
		return
	}
	n.status = skipped
	for _, i := range n.Out {
		m.kill(i)
	}
}

// enabled reports whether a waiting node may run.
func (m *Machine) enabled(n *node) bool {
	if n.status != waiting {
		return false
	}
	if n.Type == startType {
		return true
	}
	came, unknown := 0, 0
	for _, i := range n.In {
		switch m.edges[i] {
		case taken:
			came++
		case open:
			unknown++
		}
	}
	if n.Data.String("joinMode") == graph.JoinAny {
		return came > 0
	}
	return came > 0 && unknown == 0
}
