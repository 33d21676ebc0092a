package root

import (
	"context"
	"encoding/json"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/namespaces"
)

type widgetWorkflow struct {
	widgets *bridge.Service
	once    *once.Service
	epoch   string
	rooms   *runRooms
}

func (w widgetWorkflow) routes() []namespaces.Route {
	return []namespaces.Route{
		namespaces.HandleOnce(w.once, "widget_workflow_connect", w.connect, w.connectAgain).FailingAs(widgetFailure(events.CodeConnectionFailed)),
		namespaces.HandleOnce(w.once, "widget_send_input", w.sendInput, w.inputAgain).FailingAs(widgetFailure(events.CodeInputFailed)),
		namespaces.HandleOnce(w.once, "widget_refresh", w.refresh, w.refreshAgain).FailingAs(widgetFailure(events.CodeRefreshFailed)),
		namespaces.Handle("widget_workflow_disconnect", w.disconnect).FailingAs(widgetFailure(events.CodeConnectionFailed)),
	}
}

type widgetConnect struct {
	namespaces.ClientMessage
	WidgetID   string            `json:"widgetID"`
	Since      *events.Since     `json:"since,omitempty"`
	WorkflowID string            `json:"workflowID,omitempty"`
	InstanceID string            `json:"instanceID,omitempty"`
	Mode       events.WidgetMode `json:"mode,omitempty"`
	TenantID   string            `json:"tenantID,omitempty"`
	FirebaseID string            `json:"firebaseID,omitempty"`

	// Four names that clients have used for the same thing.
	InputParams map[string]any `json:"inputParams,omitempty"`
	InputArgs   map[string]any `json:"inputArgs,omitempty"`
	InputValues map[string]any `json:"inputValues,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`

	// What clients send about themselves; the server needs none of it.
	WidgetType     string      `json:"widgetType,omitempty"`
	WidgetConfig   events.JSON `json:"widgetConfig,omitempty"`
	WorkflowConfig events.JSON `json:"workflowConfig,omitempty"`
	DatasetFields  events.JSON `json:"datasetFields,omitempty"`
}

// MessageID is the id of a connect that starts a run. Others change nothing,
// and may be repeated anyway.
func (c widgetConnect) MessageID() string {
	if c.Mode != "" && c.Mode != events.WidgetExecute {
		return ""
	}
	return c.ClientMessageID
}

func (c widgetConnect) input() map[string]any {
	for _, in := range []map[string]any{c.InputParams, c.InputValues, c.InputArgs, c.Parameters} {
		if in != nil {
			return in
		}
	}
	return nil
}

type widgetBound struct {
	WidgetID   string `json:"widgetID"`
	InstanceID string `json:"instanceID"`
}

type widgetConnected struct {
	widgetBound
	resumption // of the run
}

// connect binds a widget to a run.
func (w widgetWorkflow) connect(ctx context.Context, s namespaces.Session, in widgetConnect) (widgetConnected, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return widgetConnected{}, err
	}
	if err := widgetID(in.WidgetID); err != nil {
		return widgetConnected{}, err
	}
	done, err := w.widgets.Connect(ctx, widgetSession{s, w.rooms}, bridge.Connect{
		WidgetID: in.WidgetID, WorkflowID: in.WorkflowID, InstanceID: in.InstanceID,
		TenantID: in.TenantID, Mode: in.Mode, Input: in.input(), Since: in.Since,
	})
	return widgetConnected{widgetBound{in.WidgetID, done.RunID}, resume(w.epoch, in.Since, done.Gap, done.Through)}, err
}

// connectAgain binds a widget to the run that the first connect started.
func (w widgetWorkflow) connectAgain(ctx context.Context, s namespaces.Session, in widgetConnect, first widgetConnected) error {
	return w.widgets.Rebind(ctx, widgetSession{s, w.rooms}, in.WidgetID, first.InstanceID)
}

// widgetID makes sure that a widget's id is one: it becomes part of the name
// of a room.
func widgetID(id string) error {
	if !isUUID(id) {
		return events.FieldErrorf("widgetID", "is not a UUID")
	}
	return nil
}

type widgetInput struct {
	namespaces.ClientMessage
	WidgetID   string `json:"widgetID"`
	InstanceID string `json:"instanceID,omitempty"`
	InputType  string `json:"inputType"`
	Data       any    `json:"data,omitempty"`
}

// sendInput gives a run what a person did in a widget.
func (w widgetWorkflow) sendInput(ctx context.Context, s namespaces.Session, in widgetInput) (widgetBound, error) {
	if err := widgetID(in.WidgetID); err != nil {
		return widgetBound{}, err
	}
	runID, err := w.widgets.Input(ctx, widgetSession{s, w.rooms}, bridge.Input{WidgetID: in.WidgetID, InstanceID: in.InstanceID, Type: in.InputType, Data: in.Data})
	return widgetBound{in.WidgetID, runID}, err
}

// inputAgain confirms the input to clients that wait for the event.
func (w widgetWorkflow) inputAgain(_ context.Context, s namespaces.Session, in widgetInput, first widgetBound) error {
	return s.Emit(events.WidgetInputReceived{WidgetID: first.WidgetID, InstanceID: first.InstanceID, InputType: in.InputType, Success: true})
}

type widgetRefresh struct {
	namespaces.ClientMessage
	WidgetID    string         `json:"widgetID"`
	InputParams map[string]any `json:"inputParams,omitempty"`
	TenantID    string         `json:"tenantID,omitempty"`
}

// refresh runs a widget's workflow again.
func (w widgetWorkflow) refresh(ctx context.Context, s namespaces.Session, in widgetRefresh) (widgetBound, error) {
	if err := widgetID(in.WidgetID); err != nil {
		return widgetBound{}, err
	}
	done, err := w.widgets.Refresh(ctx, widgetSession{s, w.rooms}, in.WidgetID, in.TenantID, in.InputParams)
	return widgetBound{in.WidgetID, done.RunID}, err
}

// refreshAgain binds a widget to the run that the first refresh started.
func (w widgetWorkflow) refreshAgain(ctx context.Context, s namespaces.Session, in widgetRefresh, first widgetBound) error {
	return w.widgets.Rebind(ctx, widgetSession{s, w.rooms}, in.WidgetID, first.InstanceID)
}

type widgetDisconnect struct {
	WidgetID   string `json:"widgetID"`
	InstanceID string `json:"instanceID,omitempty"`
}

// disconnect unbinds a widget, also one that never was bound.
func (w widgetWorkflow) disconnect(_ context.Context, s namespaces.Session, in widgetDisconnect) (struct{}, error) {
	if err := widgetID(in.WidgetID); err != nil {
		return struct{}{}, err
	}
	w.widgets.Disconnect(widgetSession{s, w.rooms}, in.WidgetID)
	return struct{}{}, nil
}

// widgetFailure makes the error event of widgets. What was forbidden or wrong
// stays so; what merely failed may work the next time.
func widgetFailure(code events.Code) func(json.RawMessage, *events.Error) events.Payload {
	return func(arg json.RawMessage, e *events.Error) events.Payload {
		var in struct {
			WidgetID any `json:"widgetID"`
		}
		json.Unmarshal(arg, &in) // whatever can be read of it
		id, _ := in.WidgetID.(string)
		return events.WidgetWorkflowError{
			WidgetID:  id,
			Error:     events.WidgetError{Code: code, Message: e.Message, Recoverable: e.Code == events.CodeInternal || e.Code == events.CodeTimeout},
			Timestamp: events.Time{Time: time.Now()},
		}
	}
}
