package workflow

import (
	"encoding/json"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
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
	// Context are the variables after the entry, as JSON. In a [History] only
	// the end of the run has them.
	Context events.JSON
	Entry   Entry
}

// Position is where the update stands in its room, without the epoch.
func (u Update) Position() cluster.Position {
	return cluster.Position{Offset: u.Offset, Prev: u.Prev}
}

// Size is about how many bytes clients get for the update, without Context.
func (u Update) Size() int { return len(u.Entry.Data) + updateFrame }

// updateFrame is about what surrounds the data of an entry in an event.
const updateFrame = 256

// NodeUpdate is what a node did to the variables of its run.
type NodeUpdate struct {
	ID, Type string
	Status   events.NodeStatus
	Variable string // "" if the output went nowhere
	Value    events.JSON
}

// visible reports whether clients see an entry.
func visible(e Entry) bool {
	switch e.Type {
	case NodeCompleted, NodeFailed, RunEnded:
		return true
	case NodeSuspended:
		return decode[suspension](e).Config != nil // else it is a delay: nobody is asked for anything
	}
	return false
}

// update returns what clients see of an entry that m has just applied; false
// means nothing.
func update(run Run, m *machine, e Entry) (Update, bool) {
	if !visible(e) {
		return Update{}, false
	}
	u := Update{Run: run, Offset: e.Seq, Prev: m.prev, Entry: e}
	switch e.Type {
	case NodeCompleted:
		c := decode[completion](e)
		n := m.nodes[e.Node]
		u.Node = &NodeUpdate{n.ID, n.Type, events.NodeSuccess, c.Variable, encode(c.Output)}
		u.Payload = events.WorkflowNodeUpdate{
			InstanceID: run.ID, NodeID: n.ID, Status: events.NodeSuccess, Output: encode(shownOutput(n.Node, c)),
		}
	case NodeFailed:
		f := decode[failure](e)
		n := m.nodes[e.Node]
		u.Node = &NodeUpdate{n.ID, n.Type, events.NodeFailed, f.Variable, encode(f.Output)}
		u.Payload = events.WorkflowNodeUpdate{
			InstanceID: run.ID, NodeID: n.ID, Status: events.NodeFailed, Output: encode(f.Output), Error: f.Error,
		}
	case NodeSuspended:
		s := decode[suspension](e)
		u.Payload = events.WorkflowDataCollectionRequest{
			InstanceID: run.ID, NodeID: e.Node, CollectionRequestID: s.RequestID,
			CollectionType: s.Config.CollectionType, CollectionConfig: *s.Config,
		}
	case RunEnded:
		end := decode[ending](e)
		u.Status = end.Status
		u.Context = encode(m.context())
		p := events.WorkflowStatusUpdate{InstanceID: run.ID, Status: end.Status, ContextData: u.Context, Error: end.Error}
		if end.Output != nil {
			p.Output = encode(end.Output)
		}
		u.Payload = p
	}
	return u, true
}

// shownOutput is the output of a node as its update has it: collected data is
// named after its variable, as clients expect.
func shownOutput(n Node, c completion) any {
	if n.Type == "dataCollection" {
		return map[string]any{c.Variable: c.Output, "success": true}
	}
	return c.Output
}

// encode writes a value that came from JSON or from a node type.
func encode(v any) events.JSON {
	b, err := json.Marshal(v)
	if err != nil {
		return events.JSON("null")
	}
	return b
}
