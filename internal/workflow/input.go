package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// An Input is what somebody gives a run.
type Input struct {
	// RequestID names the request that it answers; "" is the oldest.
	RequestID string `json:"requestID,omitempty"`
	Data      any    `json:"data,omitempty"`
	// Field is what the sender calls the data; errors name it.
	Field string `json:"field,omitempty"`
}

// mismatch is the error of an input that does not match its form.
func (in Input) mismatch(e *nodes.InputError) error {
	path := in.Field
	if e.Field != "payload" {
		path += "." + e.Field
	}
	return events.FieldErrorf(path, "%s", strings.TrimPrefix(e.Message, e.Field+": "))
}

// RunOfRequest returns the run of a tenant that made a request for input and
// waits, if the user may answer it.
func (s *Service) RunOfRequest(ctx context.Context, id *auth.Identity, tenant, requestID string) (Run, error) {
	if !id.Can(auth.AnswerRuns, tenant) {
		return Run{}, noRequest(requestID)
	}
	run, err := s.opts.Store.RunOfRequest(ctx, tenant, requestID)
	if errors.Is(err, ErrNotFound) {
		return Run{}, noRequest(requestID)
	}
	if err != nil {
		return Run{}, fmt.Errorf("looking up request: %w", err)
	}
	state, err := s.State(ctx, run)
	if err != nil {
		return Run{}, err
	}
	for _, p := range state.Pending {
		if p.CollectionRequestID == requestID {
			return run, nil
		}
	}
	return Run{}, noRequest(requestID)
}

func noRequest(requestID string) error {
	return events.Errorf(events.CodeNotFound, "the request %s does not exist, or was answered, or has expired", requestID)
}

// Submit gives a run the input that it waits for, wherever it goes on. The
// caller has asked whether the user may.
func (s *Service) Submit(ctx context.Context, run Run, in Input) error {
	return s.deliver(ctx, run, order{Do: doSubmit, Input: in, ID: once.Key(ctx, "order")})
}

// WidgetInput makes what a person did in a widget readable by later nodes as
// __widgetInput. A form also answers the oldest request of the run, if there
// is one. The caller has asked whether the user may.
func (s *Service) WidgetInput(ctx context.Context, run Run, value map[string]any, form bool) error {
	return s.deliver(ctx, run, order{Do: doWidgetInput, Value: value, Form: form, ID: once.Key(ctx, "order")})
}

// Stop ends a run. Stopping what is over is an error; the caller has asked
// whether the user may.
func (s *Service) Stop(ctx context.Context, run Run) error {
	return s.deliver(ctx, run, order{Do: doStop})
}

// notRunning says why a run takes no input.
func (s *Service) notRunning(ctx context.Context, run Run) error {
	if now, err := s.opts.Store.Run(ctx, run.ID); err == nil {
		run = now
	}
	return events.Errorf(events.CodeConflict, "run %s is %s and takes no input", run.ID, run.Status)
}

// An order is what somebody wants of a run.
type order struct {
	RunID string         `json:"runID"`
	Do    string         `json:"do"`
	Input Input          `json:"input,omitzero"`
	Value map[string]any `json:"value,omitempty"`
	Form  bool           `json:"form,omitempty"`
	// ID is set of orders that may come again: from another instance, or of a
	// request that is to happen once.
	ID string `json:"id,omitempty"`
}

// What an order says to do.
const (
	doSubmit      = "submit"
	doWidgetInput = "widgetInput"
	doStop        = "stop"
)

// carryOut does what an order says. The mutex is held, and the run is not over.
func (x *execution) carryOut(o order) error {
	switch o.Do {
	case doSubmit:
		return x.submit(o.Input, o.ID)
	case doWidgetInput:
		return x.widgetInput(o)
	case doStop:
		e, err := newEntry(RunEnded, "", ending{Status: events.RunStopped, Error: "stopped", InputID: o.ID})
		if err != nil {
			return err
		}
		return x.commit(e)
	}
	return fmt.Errorf("an order says %q", o.Do)
}

func (x *execution) widgetInput(o order) error {
	a := assignment{Key: "__widgetInput", Value: o.Value}
	if o.Form {
		if _, err := x.awaiting(""); err == nil {
			set, err := newEntry(SystemSet, "", a)
			if err != nil {
				return err
			}
			return x.submit(Input{Data: o.Value["data"], Field: "data"}, o.ID, set)
		}
	}
	a.InputID = o.ID
	set, err := newEntry(SystemSet, "", a)
	if err != nil {
		return err
	}
	return x.commit(set)
}

// submit completes the node that made a request, after entries that tell how
// the input came.
func (x *execution) submit(in Input, inputID string, before ...Entry) error {
	n, err := x.awaiting(in.RequestID)
	if err != nil {
		return err
	}
	var schema any
	json.Unmarshal(n.suspended.Config.FormSchema, &schema) // nil without a schema
	err = nodes.CheckInput(schema, in.Data)
	var mismatch *nodes.InputError
	if errors.As(err, &mismatch) {
		return in.mismatch(mismatch)
	}
	if err != nil {
		return fmt.Errorf("checking input: %w", err)
	}
	e, err := newEntry(NodeCompleted, n.ID, completion{Output: in.Data, Variable: n.suspended.Config.OutputVariable, Handle: defaultHandle, InputID: inputID})
	if err != nil {
		return err
	}
	if t := x.timers[n.ID]; t != nil {
		t.Stop()
		delete(x.timers, n.ID)
	}
	if err := x.commit(append(before, e)...); err != nil {
		return err
	}
	x.arm()
	return nil
}

// awaiting returns the node that made a request.
func (x *execution) awaiting(requestID string) (*nodeState, error) {
	for _, n := range x.machine.suspendedNodes() {
		if n.suspended.Config != nil && (requestID == "" || n.suspended.RequestID == requestID) {
			return n, nil
		}
	}
	if requestID == "" {
		return nil, events.Errorf(events.CodeConflict, "run %s does not wait for an input", x.run.ID)
	}
	return nil, noRequest(requestID)
}
