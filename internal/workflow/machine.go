package workflow

import (
	"math"
	"sort"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
)

// A machine is the state of a run: what follows from its entries. It is
// deterministic and does nothing but compute. It is not safe for concurrent
// use.
type machine struct {
	def   Definition
	nodes map[string]*nodeState
	edges []edgeState // as in def.Edges

	vars   map[string]any
	seq    uint64
	shown  uint64 // the latest entry that clients see, and prev the one before
	prev   uint64
	begun  bool // a node has been dispatched, or more
	ended  *ending
	failed string // the first failure that nothing handled

	inputs map[string]bool // the ids of orders that may come again
}

// nodeState is how far a node has got.
type nodeState struct {
	Node
	status    nodeStatus
	in, out   []int // indexes of edges
	suspended suspension
	since     time.Time
}

type nodeStatus uint8

const (
	nodeWaiting    nodeStatus = iota // for its incoming edges
	nodeDispatched                   // running
	nodeSuspended                    // waiting for time or input
	nodeDone                         // completed or failed
	nodeSkipped                      // no path leads here any more
)

// edgeState is whether a path has come along an edge.
type edgeState uint8

const (
	edgeOpen  edgeState = iota // nobody knows yet
	edgeTaken                  // yes
	edgeDead                   // no, and it never will
)

// How a node joins several incoming edges.
const (
	joinAll = "all" // runs when all are decided and one was taken
	joinAny = "any" // runs when the first is taken
)

func newMachine(def Definition) *machine {
	m := &machine{def: def, nodes: make(map[string]*nodeState), edges: make([]edgeState, len(def.Edges)), vars: map[string]any{}, inputs: map[string]bool{}}
	for _, n := range def.Nodes {
		m.nodes[n.ID] = &nodeState{Node: n}
	}
	for i, e := range def.Edges {
		m.nodes[e.Source].out = append(m.nodes[e.Source].out, i)
		m.nodes[e.Target].in = append(m.nodes[e.Target].in, i)
	}
	return m
}

// replay applies all entries of a log.
func replay(def Definition, log []Entry) *machine {
	m := newMachine(def)
	for _, e := range log {
		m.apply(e)
	}
	return m
}

// apply moves the state on by one entry.
func (m *machine) apply(e Entry) {
	m.seq = e.Seq
	if visible(e) {
		m.prev, m.shown = m.shown, e.Seq
	}
	m.begun = m.begun || e.Type != InputSet
	n := m.nodes[e.Node]
	switch e.Type {
	case InputSet:
		m.vars["input"] = whole(decode[map[string]any](e))
	case NodeDispatched:
		n.status = nodeDispatched
	case NodeSuspended:
		n.status, n.suspended, n.since = nodeSuspended, decode[suspension](e), e.At
	case NodeCompleted:
		c := decode[completion](e)
		m.received(c.InputID)
		m.store(n, c.Variable, c.Output)
		m.leave(n, c.Handle)
	case NodeFailed:
		f := decode[failure](e)
		m.store(n, f.Variable, f.Output)
		if f.Handle == "" && m.failed == "" {
			m.failed = "node " + n.title() + ": " + f.Error
		}
		m.leave(n, f.Handle)
	case SystemSet:
		a := decode[assignment](e)
		m.received(a.InputID)
		m.vars[a.Key] = whole(a.Value)
	case RunEnded:
		end := decode[ending](e)
		m.received(end.InputID)
		m.ended = &end
	}
}

// received remembers an order that may come again, because whoever sent it did
// not hear that it came.
func (m *machine) received(inputID string) {
	if inputID != "" {
		m.inputs[inputID] = true
	}
}

// hidden begins the names of variables that clients do not see.
const hidden = "__"

// store keeps the output of a node where later ones find it.
func (m *machine) store(n *nodeState, variable string, output any) {
	output = whole(output)
	m.vars[hidden+"node_"+n.ID] = output
	if variable != "" {
		m.vars[variable] = output
	}
}

// whole turns numbers that are whole into integers, throughout a value decoded
// from JSON: expressions know the difference, JSON does not.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	}
	return v
}

// leave decides the edges that go out of a node which is done.
func (m *machine) leave(n *nodeState, handle string) {
	n.status = nodeDone
	for _, i := range n.out {
		if m.def.Edges[i].handle() == handle {
			m.edges[i] = edgeTaken
		} else {
			m.kill(i)
		}
	}
}

// kill marks an edge that nothing will come along, and what lies behind it.
func (m *machine) kill(edge int) {
	m.edges[edge] = edgeDead
	n := m.nodes[m.def.Edges[edge].Target]
	if n.status != nodeWaiting {
		return
	}
	for _, i := range n.in {
		if m.edges[i] != edgeDead {
			return
		}
	}
	n.status = nodeSkipped
	for _, i := range n.out {
		m.kill(i)
	}
}

// ready returns the nodes to dispatch now, in the order of the definition.
func (m *machine) ready() []string {
	if m.ended != nil || m.failed != "" {
		return nil
	}
	var ids []string
	for _, n := range m.def.Nodes {
		if s := m.nodes[n.ID]; s.status == nodeWaiting && m.enabled(s) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// enabled reports whether a waiting node may run.
func (m *machine) enabled(n *nodeState) bool {
	if n.Type == "start" {
		return true
	}
	taken, open := 0, 0
	for _, i := range n.in {
		switch m.edges[i] {
		case edgeTaken:
			taken++
		case edgeOpen:
			open++
		}
	}
	if n.Data.String("joinMode") == joinAny {
		return taken > 0
	}
	return taken > 0 && open == 0
}

// outcome returns how the run ends, nil while it goes on: at an end node, at
// a failure, or when nothing is left to do.
func (m *machine) outcome() *ending {
	if m.failed != "" {
		return &ending{Status: events.RunFailed, Error: m.failed}
	}
	for _, n := range m.def.Nodes {
		if n.Type == "end" && m.nodes[n.ID].status == nodeDone {
			return m.atEnd(n)
		}
	}
	for _, n := range m.nodes {
		if n.status == nodeDispatched || n.status == nodeSuspended {
			return nil
		}
	}
	if len(m.ready()) > 0 {
		return nil
	}
	return &ending{Status: events.RunCompleted}
}

func (m *machine) atEnd(n Node) *ending {
	output, _ := m.vars[hidden+"node_"+n.ID].(map[string]any)
	if output["status"] == "failed" {
		return &ending{Status: events.RunFailed, Error: "the workflow ended at " + n.title(), Output: output["workflowOutput"]}
	}
	return &ending{Status: events.RunCompleted, Output: output["workflowOutput"]}
}

// suspendedNodes returns the nodes that wait, in the order in which they began to.
func (m *machine) suspendedNodes() []*nodeState {
	var list []*nodeState
	for _, n := range m.nodes {
		if n.status == nodeSuspended {
			list = append(list, n)
		}
	}
	sort.Slice(list, func(i, j int) bool {
		if !list[i].since.Equal(list[j].since) {
			return list[i].since.Before(list[j].since)
		}
		return list[i].ID < list[j].ID
	})
	return list
}

// running reports whether any node has been dispatched and not ended.
func (m *machine) running() bool {
	for _, n := range m.nodes {
		if n.status == nodeDispatched {
			return true
		}
	}
	return false
}

// context returns the variables that clients may see.
func (m *machine) context() map[string]any {
	visible := make(map[string]any, len(m.vars))
	for k, v := range m.vars {
		if !strings.HasPrefix(k, hidden) {
			visible[k] = v
		}
	}
	return visible
}
