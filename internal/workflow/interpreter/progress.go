package interpreter

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A NodeState says how far a node has got.
type NodeState string

// The states of nodes.
const (
	StateWaiting   NodeState = "waiting" // for its turn
	StateRunning   NodeState = "running"
	StateSuspended NodeState = "suspended" // for time, input or another run
	StateRetrying  NodeState = "retrying"
	StateDone      NodeState = "done"
	StateFailed    NodeState = "failed"
	StateSkipped   NodeState = "skipped" // no path leads there
)

// A NodeProgress is how far a node of a run has got.
type NodeProgress struct {
	ID, Title, Type string
	State           NodeState
	// Depth is how many loops the node is in.
	Depth int
	// Item is which item a loop is at, from 0, and Items how many it has; 0 for
	// nodes that are no loops.
	Item, Items int
	Attempt     int       // failed ones
	Until       time.Time // when its wait ends by itself; zero if it does not
	Asks        bool      // people
	Child       string    // the run that it waits for
}

// Progress returns how far the nodes have got, in the order of the definition.
func (m *Machine) Progress() []NodeProgress {
	list := make([]NodeProgress, 0, len(m.nodes)+len(m.extra))
	for i := range m.nodes {
		list = append(list, m.progress(&m.nodes[i]))
	}
	elsewhere := slices.SortedFunc(maps.Values(m.extra), func(a, b *node) int { return cmp.Compare(a.ID, b.ID) })
	for _, n := range elsewhere {
		list = append(list, m.progress(n))
	}
	return list
}

func (m *Machine) progress(n *node) NodeProgress {
	p := NodeProgress{ID: n.ID, Title: n.Title(), Type: n.Type, State: StateWaiting, Attempt: n.attempt}
	for l := n.Loop; l >= 0; l = m.nodes[l].Loop {
		p.Depth++
	}
	switch n.status {
	case computing, dispatched:
		p.State = StateRunning
	case looping:
		p.State = StateRunning
		p.Item, p.Items = max(n.loop.index, 0), len(n.loop.Items)
	case suspended:
		p.State, p.Until, p.Asks = StateSuspended, n.until, n.suspended.Config != nil
		if c := n.suspended.Child; c != nil {
			p.Child = c.RunID
		}
	case retrying:
		p.State, p.Until = StateRetrying, n.until
	case done:
		p.State = StateDone
	case skipped:
		p.State = StateSkipped
	}
	return p
}
