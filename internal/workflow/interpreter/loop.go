package interpreter

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// loop is how far a loop has got.
type loop struct {
	Loop
	index   int // of the item that its body runs for; -1 before the first
	results []json.RawMessage
	size    int             // of the results, in bytes
	last    json.RawMessage // of the item: the output of the latest node
	back    json.RawMessage // and of the node that led back to the loop
	skipped bool            // the item has no result
	over    bool            // the pass is; until says when the next may begin
}

func newLoop(l Loop) *loop { return &loop{Loop: l, index: -1, over: true} }

// iteration says in which pass of the loops around it a node is.
func (m *Machine) iteration(n *node) string {
	if n.Loop < 0 {
		return ""
	}
	outer := &m.nodes[n.Loop]
	if outer.loop == nil {
		return ""
	}
	index := strconv.Itoa(max(outer.loop.index, 0))
	if above := m.iteration(outer); above != "" {
		return above + "." + index
	}
	return index
}

// begin lets the body of a loop run for an item.
func (m *Machine) begin(n *node, index int) {
	l := n.loop
	if l == nil || index >= len(l.Items) {
		return // not written by a machine
	}
	if !l.over {
		m.conclude(n) // a log does not say so by itself
	}
	l.index, l.over, l.skipped, l.last, l.back = index, false, false, nil, nil
	for _, i := range n.Body {
		b := &m.nodes[i]
		*b = node{PlanNode: b.PlanNode}
	}
	for _, i := range n.BodyEdges {
		m.edges[i] = open
	}
	if l.ItemVariable != "" {
		m.set(l.ItemVariable, l.Items[index])
	}
	if l.IndexVariable != "" {
		m.set(l.IndexVariable, json.RawMessage(strconv.Itoa(index)))
	}
	for _, i := range n.Out {
		if m.plan.Edges[i].Handle == graph.LoopHandle {
			m.take(i)
		}
	}
}

// collect notes the output of a node as the result of the item that it was for.
func (m *Machine) collect(n *node, output json.RawMessage) {
	if n.Loop < 0 || m.nodes[n.Loop].loop == nil {
		return
	}
	l := m.nodes[n.Loop].loop
	l.last = output
	for _, i := range n.Out {
		if m.plan.Edges[i].Back && m.plan.Edges[i].Target == n.Loop && m.edges[i] == taken {
			l.back = output
		}
	}
}

// skip ends the pass of a loop: nothing of its body begins any more, and nobody
// waits for anything.
func (m *Machine) skip(n *node) {
	if n.loop == nil {
		return
	}
	n.loop.skipped = true
	for _, i := range n.Body {
		switch b := &m.nodes[i]; b.status {
		case waiting, suspended, retrying:
			b.status = skipped
		}
	}
}

// skipping reports whether the item that a node runs for is given up.
func (m *Machine) skipping(n *node) bool {
	for n.Loop >= 0 {
		if n = &m.nodes[n.Loop]; n.loop == nil || n.loop.skipped {
			return true
		}
	}
	return false
}

// quiet reports whether nothing of the body of a loop runs or can begin.
func (m *Machine) quiet(n *node) bool {
	for _, i := range n.Body {
		if b := &m.nodes[i]; b.status.active() || m.enabled(b) {
			return false
		}
	}
	return true
}

// conclude ends the pass of a loop whose body is quiet.
func (m *Machine) conclude(n *node) {
	l := n.loop
	if !l.skipped {
		result := l.last
		if l.back != nil {
			result = l.back
		}
		if result == nil {
			result = json.RawMessage("null")
		}
		l.results = append(l.results, result)
		l.size += len(result) + 1
	}
	l.over = true
	n.until = time.Time{}
	if l.Pause > 0 && l.index+1 < len(l.Items) {
		n.until = m.at.Add(l.Pause)
	}
}
