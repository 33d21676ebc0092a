package events

import "time"

// WidgetMode is how a widget uses a workflow.
type WidgetMode string

// The modes.
const (
	WidgetExecute   WidgetMode = "execute"   // start a run and follow it
	WidgetSubscribe WidgetMode = "subscribe" // follow a run that exists
	WidgetReplay    WidgetMode = "replay"    // see a run again, without following it
)

// WidgetWorkflowConnected confirms that a widget is connected to a run.
type WidgetWorkflowConnected struct {
	WidgetID       string        `json:"widgetID"`
	InstanceID     string        `json:"instanceID"`
	WorkflowID     string        `json:"workflowID"`
	Mode           WidgetMode    `json:"mode"`
	InitialContext JSON          `json:"initialContext"` // null if ContextRef is set
	ContextRef     *ContextRef   `json:"contextRef,omitempty"`
	WorkflowMeta   *WorkflowMeta `json:"workflowMeta"`
	WorkflowStatus RunStatus     `json:"workflowStatus,omitempty"` // replay only
}

// EventName implements [Payload].
func (WidgetWorkflowConnected) EventName() string { return "widget_workflow_connected" }

// WorkflowMeta is what is known of the run that a widget subscribes to.
type WorkflowMeta struct {
	Status RunStatus `json:"status"`
}

// WidgetContextUpdate tells a widget that a node of its run has ended.
type WidgetContextUpdate struct {
	WidgetID   string        `json:"widgetID"`
	InstanceID string        `json:"instanceID"`
	Update     ContextUpdate `json:"update"`
	Timestamp  Time          `json:"timestamp"`
}

// EventName implements [Payload].
func (WidgetContextUpdate) EventName() string { return "widget_context_update" }

// ContextUpdate is the change that a node made to the context of a run.
type ContextUpdate struct {
	Type            string      `json:"type"` // NODE_COMPLETE
	NodeID          string      `json:"nodeID"`
	NodeType        string      `json:"nodeType,omitempty"`
	OutputVariable  *string     `json:"outputVariable"`
	Value           JSON        `json:"value"`
	Status          NodeStatus  `json:"status"`
	ContextSnapshot JSON        `json:"contextSnapshot"` // null if ContextRef is set, or in what is sent of the past
	ContextRef      *ContextRef `json:"contextRef,omitempty"`
	ProcessedData   JSON        `json:"processedData"`
}

// WidgetWorkflowStatus tells a widget that its run is over.
type WidgetWorkflowStatus struct {
	WidgetID     string      `json:"widgetID"`
	InstanceID   string      `json:"instanceID"`
	Status       RunStatus   `json:"status"`
	FinalContext JSON        `json:"finalContext"` // null if ContextRef is set
	ContextRef   *ContextRef `json:"contextRef,omitempty"`
	Timestamp    Time        `json:"timestamp"`
}

// EventName implements [Payload].
func (WidgetWorkflowStatus) EventName() string { return "widget_workflow_status" }

// WidgetWorkflowError tells a widget that what it asked for failed.
type WidgetWorkflowError struct {
	WidgetID  string      `json:"widgetID"`
	Error     WidgetError `json:"error"`
	Timestamp Time        `json:"timestamp"`
}

// EventName implements [Payload].
func (WidgetWorkflowError) EventName() string { return "widget_workflow_error" }

// WidgetError is an error as widgets know it.
type WidgetError struct {
	Code        Code   `json:"code"`
	Message     string `json:"message"`
	Recoverable bool   `json:"recoverable"`
}

// WidgetInputReceived confirms a widget's input.
type WidgetInputReceived struct {
	WidgetID   string `json:"widgetID"`
	InstanceID string `json:"instanceID"`
	InputType  string `json:"inputType"`
	Success    bool   `json:"success"`
}

// EventName implements [Payload].
func (WidgetInputReceived) EventName() string { return "widget_input_received" }

// WidgetWorkflowDisconnected confirms that a widget is disconnected.
type WidgetWorkflowDisconnected struct {
	WidgetID string `json:"widgetID"`
	Success  bool   `json:"success"`
}

// EventName implements [Payload].
func (WidgetWorkflowDisconnected) EventName() string { return "widget_workflow_disconnected" }

// Time is a moment, sent as an ISO 8601 string in UTC with milliseconds.
type Time struct{ time.Time }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	return t.UTC().AppendFormat(nil, "2006-01-02T15:04:05.000Z"), nil
}

// MarshalJSON overrides that of the embedded time, which has nanoseconds.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}
