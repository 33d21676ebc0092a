package bridge

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/events"
)

// An Input is what a person did in a widget.
type Input struct {
	WidgetID   string
	InstanceID string // "" is the run that the widget is bound to
	Type       string
	Data       any
}

// Input gives a run what a person did in a widget, and tells the widget so.
func (s *Service) Input(ctx context.Context, session Session, in Input) (runID string, err error) {
	runID = in.InstanceID
	if runID == "" {
		b := s.find(session, in.WidgetID)
		if b == nil {
			return "", events.Errorf(events.CodeConflict, "Widget is not connected to any workflow instance")
		}
		runID = b.run.ID
	}
	run, err := s.opts.Runs.Find(ctx, session.Identity(), runID, true)
	if err != nil {
		return "", err
	}
	value := map[string]any{
		"widgetID": in.WidgetID, "inputType": in.Type, "data": in.Data, "timestamp": time.Now().UnixMilli(),
	}
	form := in.Type == "form_submit" || in.Type == "form_submission"
	if err := s.opts.Runs.Input(ctx, session.Identity(), run, value, form); err != nil {
		return "", err
	}
	session.Emit(events.WidgetInputReceived{WidgetID: in.WidgetID, InstanceID: runID, InputType: in.Type, Success: true})
	return runID, nil
}
