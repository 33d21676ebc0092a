package bridge

import (
	"encoding/json"

	"github.com/roomcast/roomcast/events"
)

// RunUpdated takes an update of a run that goes on here to the widgets that
// show it. The updates of one run must come one after the other. What widgets
// have missed while the run went on elsewhere comes first.
func (s *Service) RunUpdated(u Update) { s.publish(u) }

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
