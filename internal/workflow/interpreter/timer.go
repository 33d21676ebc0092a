package interpreter

import (
	"cmp"
	"slices"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// Alarm returns when [Machine.Wake] is to be called, zero if never.
func (m *Machine) Alarm() time.Time {
	if m.ended != nil {
		return time.Time{}
	}
	first := m.opts.Deadline
	for i := range m.nodes {
		n := &m.nodes[i]
		if t := n.until; m.timed(n) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// timed reports whether a node waits for a moment.
func (m *Machine) timed(n *node) bool {
	if n.until.IsZero() {
		return false
	}
	return n.status == suspended || n.status == retrying || n.status == looping && n.loop != nil && n.loop.over
}

// Wake makes the entries of what was to happen by now. What follows from them
// is told by [Machine.Next].
func (m *Machine) Wake(now time.Time) {
	if m.ended != nil {
		return
	}
	if d := m.opts.Deadline; !d.IsZero() && !d.After(now) {
		m.mustAdd(RunEnded, nil, Ending{Status: events.RunFailed, Error: "the run took longer than it may"}, now)
		return
	}
	for _, n := range m.due(now) {
		switch n.status {
		case retrying:
			n.status = waiting
			m.touch(n.Index)
		case suspended:
			m.expire(n, now)
		}
	}
}

// due returns the nodes whose time has come, in the order of their times.
func (m *Machine) due(now time.Time) []*node {
	var list []*node
	for i := range m.nodes {
		if n := &m.nodes[i]; m.timed(n) && !n.until.After(now) {
			list = append(list, n)
		}
	}
	slices.SortStableFunc(list, func(a, b *node) int { return a.until.Compare(b.until) })
	return list
}

// expire ends the wait of a node.
func (m *Machine) expire(n *node, now time.Time) {
	s := n.suspended
	switch {
	case s.Approval && m.plan.Handled(n.Index, nodes.Expired):
		output, _ := m.encode(map[string]any{"decision": nodes.Expired})
		m.mustAdd(NodeCompleted, n, Completion{Output: output, Variable: s.Config.OutputVariable, Handle: nodes.Expired}, now)
	case s.Config != nil:
		m.fail(n, nil, "the input did not come in time", now)
	default:
		m.mustAdd(NodeCompleted, n, Completion{Output: s.Output, Variable: n.Variable, Handle: graph.OutputHandle}, now)
	}
}

// asking returns the nodes that wait for people, in the order in which they
// began to.
func (m *Machine) asking() []*node {
	var list []*node
	add := func(n *node) {
		if n.status == suspended && n.suspended.Config != nil {
			list = append(list, n)
		}
	}
	for i := range m.nodes {
		add(&m.nodes[i])
	}
	for _, n := range m.extra {
		add(n)
	}
	slices.SortFunc(list, func(a, b *node) int { return cmp.Compare(a.since, b.since) })
	return list
}

// Pending returns the inputs that the run waits for, oldest first.
func (m *Machine) Pending() []events.WorkflowDataCollectionRequest {
	if m.ended != nil {
		return nil
	}
	var list []events.WorkflowDataCollectionRequest
	for _, n := range m.asking() {
		list = append(list, events.WorkflowDataCollectionRequest{
			InstanceID: m.opts.RunID, NodeID: n.ID, CollectionRequestID: n.suspended.RequestID,
			CollectionType: n.suspended.Config.CollectionType, CollectionConfig: *n.suspended.Config,
		})
	}
	return list
}

// Idle reports whether the run waits for people and nothing else.
func (m *Machine) Idle() bool {
	asking := false
	for i := range m.nodes {
		n := &m.nodes[i]
		switch {
		case m.enabled(n), n.status == looping && (n.loop.over || m.quiet(n)):
			return false
		case !n.status.active() || n.status == looping:
			continue
		}
		if n.status != suspended || n.suspended.Config == nil {
			return false
		}
		asking = true
	}
	return asking
}

// Children returns the runs that nodes wait for, in the order of the definition.
func (m *Machine) Children() []Child {
	var list []Child
	for i := range m.nodes {
		if n := &m.nodes[i]; n.status == suspended && n.suspended.Child != nil {
			list = append(list, *n.suspended.Child)
		}
	}
	return list
}

// childEnded takes how a run ended that a node waits for. One that nobody waits
// for is ignored.
func (m *Machine) childEnded(runID string, end Ending, now time.Time) {
	for i := range m.nodes {
		n := &m.nodes[i]
		if n.status != suspended || n.suspended.Child == nil || n.suspended.Child.RunID != runID {
			continue
		}
		if end.Status != events.RunCompleted {
			m.fail(n, end.Output, "the run "+runID+" of its workflow is "+string(end.Status)+": "+end.Error, now)
			return
		}
		m.mustAdd(NodeCompleted, n, Completion{Output: end.Output, Variable: n.Variable, Handle: graph.OutputHandle}, now)
		return
	}
}
