package interpreter

import (
	"encoding/json"
	"math"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Options describe the run of a [Machine].
type Options struct {
	RunID, Tenant, User string
	// Deadline is when the run ends as failed if it goes on; zero is never.
	Deadline time.Time
	// MaxResult bounds the result of a node, and MaxVariables all variables
	// together, in bytes of JSON; 0 is no bound.
	MaxResult, MaxVariables int
	// MaxEntries bounds the log; 0 is no bound.
	MaxEntries uint64
	// Pure reports whether nodes of a type do nothing but compute, so that they
	// need no record before they begin.
	Pure func(typ string) bool
}

// A Machine is the state of a run: what follows from its entries. It is not
// safe for concurrent use.
type Machine struct {
	opts  Options
	plan  *graph.Plan
	nodes []node      // as in the plan
	edges []edgeState // as in the plan
	extra map[string]*node

	vars map[string]any
	raw  map[string]json.RawMessage // the same as they are written
	// visible are those that clients may see.
	visible assignments
	size    int // of raw, in bytes
	seq     uint64
	shown   uint64 // the latest entry that clients see, and prev the one before
	prev    uint64
	at      time.Time // of the latest entry
	took    time.Duration
	begun   bool // something has happened besides the input
	ended   *Ending
	// failed is the first failure that nothing handled.
	failed string

	inputs  map[string]bool // the ids of orders that may come again
	touched []int           // nodes whose edges have changed since Next looked
	record  func(Entry)
}

// node is how far a node has got.
type node struct {
	*graph.PlanNode
	status    status
	attempt   int // failed ones
	until     time.Time
	suspended Suspension
	since     uint64    // the entry that it waits since
	began     time.Time // zero if it did no more than compute
	loop      *loop     // of a loop that has begun
}

type status uint8

const (
	waiting    status = iota // for its incoming edges
	computing                // handed out, without a record
	dispatched               // handed out, and recorded
	suspended                // waiting for time, input or a child
	retrying                 // waiting for its next attempt
	looping                  // a loop that has begun
	done                     // completed or failed
	skipped                  // no path leads here any more
)

// active reports whether a node keeps its run going.
func (s status) active() bool { return s >= computing && s <= looping }

// edgeState is whether a path has come along an edge.
type edgeState uint8

const (
	open  edgeState = iota // nobody knows yet
	taken                  // yes
	dead                   // no, and it never will
)

// New returns the machine of a run that has no entries yet.
func New(plan *graph.Plan, opts Options) *Machine {
	m := &Machine{
		opts: opts, plan: plan,
		nodes: make([]node, len(plan.Nodes)), edges: make([]edgeState, len(plan.Edges)),
		vars: map[string]any{}, raw: map[string]json.RawMessage{}, inputs: map[string]bool{},
		record: func(Entry) {},
	}
	if m.opts.Pure == nil {
		m.opts.Pure = func(string) bool { return false }
	}
	for i := range plan.Nodes {
		m.nodes[i].PlanNode = &plan.Nodes[i]
		if plan.Nodes[i].Type == startType {
			m.touch(i)
		}
	}
	m.cutOff()
	return m
}

// cutOff marks the nodes that nothing leads to, and what lies behind them:
// nobody is to wait for those.
func (m *Machine) cutOff() {
	for i := range m.nodes {
		if n := &m.nodes[i]; len(n.In) == 0 && n.Type != startType {
			n.status = skipped
			for _, out := range n.Out {
				m.kill(out)
			}
		}
	}
}

const (
	startType = "start"
	endType   = "end"
)

// Record has fn called with every entry that the machine makes from now on,
// after it was applied.
func (m *Machine) Record(fn func(Entry)) { m.record = fn }

// Replay applies the entries of a log.
func (m *Machine) Replay(log []Entry) {
	for _, e := range log {
		m.Apply(e)
	}
}

// add numbers an entry, applies it and records it.
func (m *Machine) add(typ EntryType, n *node, data any, at time.Time) error {
	id, iteration := "", ""
	if n != nil {
		id, iteration = n.ID, m.iteration(n)
	}
	e, err := NewEntry(typ, id, iteration, data)
	if err != nil {
		return err
	}
	if s, ok := data.(Suspension); ok {
		e.Request = s.RequestID
	}
	m.Add(e, at)
	return nil
}

// Add numbers an entry that comes from outside, applies it and records it. Its
// time is that of the log, which is kept in microseconds: what follows from it
// must be the same for those who read the log later.
func (m *Machine) Add(e Entry, at time.Time) {
	e.Seq, e.At = m.seq+1, at.Truncate(time.Microsecond)
	m.Apply(e)
	m.record(e)
}

// find returns a node by its id. One that the plan does not have is made, for
// runs whose nodes are known elsewhere.
func (m *Machine) find(id string) *node {
	if i, ok := m.plan.Find(id); ok {
		return &m.nodes[i]
	}
	n := m.extra[id]
	if n == nil {
		n = &node{PlanNode: &graph.PlanNode{Node: graph.Node{ID: id}, Index: -1, Loop: -1}}
		if m.extra == nil {
			m.extra = map[string]*node{}
		}
		m.extra[id] = n
	}
	return n
}

func (m *Machine) touch(i int) { m.touched = append(m.touched, i) }

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

// Value decodes what is written as JSON, with whole numbers as integers, as
// expressions have them.
func Value(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	var v any
	json.Unmarshal(raw, &v) // written by NewEntry
	return whole(v)
}

// Seq returns the number of the latest entry.
func (m *Machine) Seq() uint64 { return m.seq }

// Prev returns the number of the entry that clients saw before the latest that
// they see, 0 if there is none.
func (m *Machine) Prev() uint64 { return m.prev }

// Took returns how long the node took that the latest entry has ended: 0 if it
// did no more than compute, or nobody said when it began.
func (m *Machine) Took() time.Duration { return m.took }

// Begun reports whether anything has happened besides the input.
func (m *Machine) Begun() bool { return m.begun }

// Ended returns how the run ended, nil while it goes on.
func (m *Machine) Ended() *Ending { return m.ended }

// Taken reports whether an order with an id has been carried out.
func (m *Machine) Taken(orderID string) bool { return orderID != "" && m.inputs[orderID] }

// Node returns a node of the run as it is planned.
func (m *Machine) Node(id string) *graph.PlanNode { return m.find(id).PlanNode }
