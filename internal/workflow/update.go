package workflow

import (
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// An Update is an entry as clients see it.
type Update struct {
	Run    Run
	Offset uint64 // the number of the entry
	Prev   uint64 // that of the update before it; 0 for the first
	// Payload goes to the room of the run.
	Payload events.Payload
	// Node is the node that has ended, nil when the update is about the run
	// or asks for input.
	Node *NodeUpdate
	// Status is how the run ended, "" while it goes on.
	Status events.RunStatus
	// Context are the variables after the entry; nil if they are not known. In a
	// [History] only the end of the run has them.
	Context *interpreter.Snapshot
	// Variables are Context as events carry it, nil if that is nil. A [Feed]
	// sets them, and a [History] has them.
	Variables Context
	Entry     interpreter.Entry
}

// Position is where the update stands in its room, without the epoch.
func (u Update) Position() cluster.Position {
	return cluster.Position{Offset: u.Offset, Prev: u.Prev}
}

// Size is about how many bytes the Payload has.
func (u Update) Size() int {
	n := len(u.Entry.Data) + updateFrame
	if end, ok := u.Payload.(events.WorkflowStatusUpdate); ok {
		n += len(end.ContextData)
	}
	return n
}

// updateFrame is about what surrounds the data of an entry in an event.
const updateFrame = 256

// NodeUpdate is what a node did to the variables of its run.
type NodeUpdate struct {
	ID, Type string
	Status   events.NodeStatus
	Variable string // "" if the output went nowhere
	Value    events.JSON
}

// Updates collects what clients see of the entries that a machine makes.
type Updates struct {
	run  Run
	m    *interpreter.Machine
	list []Update
}

// NewUpdates returns the updates of a run, of which m is the machine.
func NewUpdates(run Run, m *interpreter.Machine) *Updates { return &Updates{run: run, m: m} }

// Add takes an entry that the machine has just applied, with the variables
// that it has led to.
func (u *Updates) Add(e interpreter.Entry) {
	up, visible := update(u.run, u.m, e)
	if !visible {
		return
	}
	if up.Context == nil {
		now := u.m.Snapshot()
		up.Context = &now
	}
	u.list = append(u.list, up)
}

// Take returns what was added since it was called last.
func (u *Updates) Take() []Update {
	list := u.list
	u.list = nil
	return list
}

// update returns what clients see of an entry that m has just applied; false
// means nothing.
func update(run Run, m *interpreter.Machine, e interpreter.Entry) (Update, bool) {
	if !e.Visible() {
		return Update{}, false
	}
	u := Update{Run: run, Offset: e.Seq, Prev: m.Prev(), Entry: e}
	switch e.Type {
	case interpreter.NodeCompleted:
		c := interpreter.Decode[interpreter.Completion](e)
		n := m.Node(e.Node)
		u.Node = &NodeUpdate{n.ID, n.Type, events.NodeSuccess, c.Variable, events.JSON(c.Output)}
		u.Payload = events.WorkflowNodeUpdate{
			InstanceID: run.ID, NodeID: n.ID, Status: events.NodeSuccess, Output: shownOutput(n, c), Duration: m.Took().Milliseconds(),
		}
	case interpreter.NodeFailed:
		f := interpreter.Decode[interpreter.Failure](e)
		n := m.Node(e.Node)
		u.Node = &NodeUpdate{n.ID, n.Type, events.NodeFailed, f.Variable, orNull(f.Output)}
		u.Payload = events.WorkflowNodeUpdate{
			InstanceID: run.ID, NodeID: n.ID, Status: events.NodeFailed, Output: orNull(f.Output), Error: f.Error, Duration: m.Took().Milliseconds(),
		}
	case interpreter.NodeSuspended:
		s := interpreter.Decode[interpreter.Suspension](e)
		u.Payload = events.WorkflowDataCollectionRequest{
			InstanceID: run.ID, NodeID: e.Node, CollectionRequestID: s.RequestID,
			CollectionType: s.Config.CollectionType, CollectionConfig: *s.Config,
		}
	case interpreter.RunEnded:
		end := interpreter.Decode[interpreter.Ending](e)
		u.Status = end.Status
		final := m.Snapshot()
		u.Context = &final
		u.Payload = events.WorkflowStatusUpdate{
			InstanceID: run.ID, Status: end.Status, Error: end.Error, Output: events.JSON(end.Output),
		}
	}
	return u, true
}

// shownOutput is the output of a node as its update has it: collected data is
// named after its variable, as clients expect.
func shownOutput(n *graph.PlanNode, c interpreter.Completion) events.JSON {
	if n.Type == "dataCollection" {
		return encode(map[string]any{c.Variable: c.Output, "success": true})
	}
	return orNull(c.Output)
}

func orNull(raw []byte) events.JSON {
	if len(raw) == 0 {
		return events.JSON("null")
	}
	return events.JSON(raw)
}
