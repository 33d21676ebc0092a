package bridge

import (
	"encoding/json"

	"github.com/roomcast/roomcast/internal/rooms"

	"github.com/roomcast/roomcast/events"
)

// RunUpdated takes an update to the widgets that show its run. The updates of
// one run must come one after the other.
func (s *Service) RunUpdated(u Update) {
	s.table.Publish(u.RunID, rooms.Numbered(u.Offset, func(b *binding) { b.deliver(u) }))
}

// deliver emits an update as widgets know it.
func (b *binding) deliver(u Update) {
	if p := b.event(u); p != nil {
		b.session.Emit(p)
	}
}

// event is an update as widgets know it, nil if they do not.
func (b *binding) event(u Update) events.Payload {
	at := events.Time{Time: u.At}
	switch {
	case u.Status != "":
		return events.WidgetWorkflowStatus{WidgetID: b.widgetID, InstanceID: u.RunID, Status: u.Status, FinalContext: u.Context, Timestamp: at}
	case u.Node == nil:
		return nil
	}
	change := events.ContextUpdate{
		Type: "NODE_COMPLETE", NodeID: u.Node.ID, NodeType: u.Node.Type, Value: u.Node.Value,
		Status: u.Node.Status, ContextSnapshot: u.Context, ProcessedData: events.JSON("null"),
	}
	if u.Node.Variable != "" {
		change.OutputVariable = &u.Node.Variable
	}
	return events.WidgetContextUpdate{WidgetID: b.widgetID, InstanceID: u.RunID, Update: change, Timestamp: at}
}

// encode writes a value that came from JSON.
func encode(v any) events.JSON {
	b, err := json.Marshal(v)
	if err != nil {
		return events.JSON("null")
	}
	return b
}
