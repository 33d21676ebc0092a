package bridge

import (
	"encoding/json"

	"github.com/roomcast/roomcast/events"
)

// RunUpdated takes an update to the widgets that show its run. The updates of
// one run must come one after the other.
func (s *Service) RunUpdated(u Update) {
	s.table.Publish(u.RunID, u.Offset, func(b *binding) { b.deliver(u) })
}

// deliver emits an update as widgets know it.
func (b *binding) deliver(u Update) {
	if u.Node == nil {
		b.session.Emit(events.WidgetWorkflowStatus{
			WidgetID: b.widgetID, InstanceID: u.RunID, Status: u.Status,
			FinalContext: u.Context, Timestamp: events.Time{Time: u.At},
		})
		return
	}
	change := events.ContextUpdate{
		Type: "NODE_COMPLETE", NodeID: u.Node.ID, NodeType: u.Node.Type, Value: u.Node.Value,
		Status: u.Node.Status, ContextSnapshot: u.Context, ProcessedData: events.JSON("null"),
	}
	if u.Node.Variable != "" {
		change.OutputVariable = &u.Node.Variable
	}
	b.session.Emit(events.WidgetContextUpdate{
		WidgetID: b.widgetID, InstanceID: u.RunID, Update: change, Timestamp: events.Time{Time: u.At},
	})
}

// encode writes a value that came from JSON.
func encode(v any) events.JSON {
	b, err := json.Marshal(v)
	if err != nil {
		return events.JSON("null")
	}
	return b
}
