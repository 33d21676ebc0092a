package bridge

import "github.com/roomcast/roomcast/events"

// RunUpdated takes an update of a run that goes on here to the widgets that
// show it. The updates of one run must come one after the other. What widgets
// have missed while the run went on elsewhere comes first.
func (s *Service) RunUpdated(u Update) { s.publish(u) }

// event is an update as widgets know it, nil if they do not.
func (b *binding) event(u Update) events.Payload {
	at := events.Time{Time: u.At}
	switch {
	case u.Status != "":
		final, ref := u.Context.variables()
		return events.WidgetWorkflowStatus{
			WidgetID: b.widgetID, InstanceID: u.RunID, Status: u.Status, FinalContext: final, ContextRef: ref, Timestamp: at,
		}
	case u.Node == nil:
		return nil
	}
	change := events.ContextUpdate{
		Type: "NODE_COMPLETE", NodeID: u.Node.ID, NodeType: u.Node.Type, Value: u.Node.Value,
		Status: u.Node.Status, ProcessedData: events.JSON("null"),
	}
	change.ContextSnapshot, change.ContextRef = u.Context.variables()
	if u.Node.Variable != "" {
		change.OutputVariable = &u.Node.Variable
	}
	return events.WidgetContextUpdate{WidgetID: b.widgetID, InstanceID: u.RunID, Update: change, Timestamp: at}
}

// shown reports whether widgets know of an update.
func (u Update) shown() bool { return u.Status != "" || u.Node != nil }

// variables are those of a context as events carry them, null if they are not
// known.
func (c Context) variables() (events.JSON, *events.ContextRef) {
	if c == nil {
		return events.JSON("null"), nil
	}
	return c()
}

// size is about how many bytes widgets get for an update.
func (u Update) size() int {
	variables, _ := u.Context.variables()
	return u.Size + len(variables)
}
