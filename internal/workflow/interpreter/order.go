package interpreter

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// An Order is what somebody wants of a run.
type Order struct {
	RunID string  `json:"runID"`
	Do    OrderTo `json:"do"`
	// RequestID names the request that an input answers; "" is the oldest.
	RequestID string `json:"requestID,omitempty"`
	// Data is the input, or of a widget all that it sent.
	Data any `json:"data,omitempty"`
	// Field is what the sender calls the data; errors name it.
	Field string `json:"field,omitempty"`
	// Form tells that the data of a widget answers the oldest request besides.
	Form bool `json:"form,omitempty"`
	// Child and Ending are how a run ended that this one may wait for.
	Child  string  `json:"child,omitempty"`
	Ending *Ending `json:"ending,omitempty"`
	// User is who gave the order.
	User string `json:"user,omitempty"`
	// ID is set of orders that may come again.
	ID string `json:"id,omitempty"`
}

// OrderTo says what an order wants.
type OrderTo string

// The orders.
const (
	Submit      OrderTo = "submit"
	WidgetInput OrderTo = "widgetInput"
	Stop        OrderTo = "stop"
	Cancel      OrderTo = "cancel"
	ChildEnded  OrderTo = "childEnded"
)

// widgetInput is the variable that holds what a person did in a widget.
const widgetInput = hidden + "widgetInput"

// Ends reports whether an order ends the run that takes it.
func (o Order) Ends() bool { return o.Do == Stop || o.Do == Cancel }

// Order carries out an order. Its errors are for who gave it, and nothing has
// happened then. One that comes again does nothing.
func (m *Machine) Order(o Order, now time.Time) error {
	if m.Taken(o.ID) {
		return nil
	}
	if m.ended != nil {
		return events.Errorf(events.CodeConflict, "run %s is %s and takes no input", m.opts.RunID, m.ended.Status)
	}
	switch o.Do {
	case Submit:
		return m.submit(o, now)
	case WidgetInput:
		return m.widgetInput(o, now)
	case Stop:
		return m.add(RunEnded, nil, Ending{Status: events.RunStopped, Error: "stopped", InputID: o.ID}, now)
	case Cancel:
		return m.add(RunEnded, nil, Ending{Status: events.RunCancelled, Error: "cancelled", InputID: o.ID}, now)
	case ChildEnded:
		m.childEnded(o.Child, *o.Ending, now)
		return nil
	}
	return fmt.Errorf("an order says %q", o.Do)
}

func (m *Machine) widgetInput(o Order, now time.Time) error {
	value, err := json.Marshal(o.Data)
	if err != nil {
		return err
	}
	a := Assignment{Key: widgetInput, Value: value}
	if n, err := m.awaiting(""); o.Form && err == nil {
		sent, _ := o.Data.(map[string]any)
		answer := Order{Data: sent["data"], Field: "data", User: o.User, ID: o.ID}
		if err := m.checkInput(n, answer); err != nil {
			return err
		}
		m.mustAdd(SystemSet, nil, a, now)
		return m.answer(n, answer, now)
	}
	a.InputID = o.ID
	return m.add(SystemSet, nil, a, now)
}

// submit completes the node that made a request.
func (m *Machine) submit(o Order, now time.Time) error {
	n, err := m.awaiting(o.RequestID)
	if err != nil {
		return err
	}
	if err := m.checkInput(n, o); err != nil {
		return err
	}
	return m.answer(n, o, now)
}

// checkInput reports what is wrong with an input.
func (m *Machine) checkInput(n *node, o Order) error {
	var schema any
	json.Unmarshal(n.suspended.Config.FormSchema, &schema) // nil without a schema
	err := nodes.CheckInput(schema, o.Data)
	var mismatch *nodes.InputError
	if errors.As(err, &mismatch) {
		return mismatch.Named(o.Field)
	}
	if err != nil {
		return fmt.Errorf("checking input: %w", err)
	}
	if raw, err := m.encode(o.Data); err != nil {
		return events.FieldErrorf(o.Field, "is larger than %d bytes", m.opts.MaxResult)
	} else if n.suspended.Approval && nodes.DecisionIn(o.Data) == "" {
		return events.FieldErrorf(o.Field+".decision", "is not approve or reject, but %s", raw)
	}
	return nil
}

// answer completes a node with an input that has been checked.
func (m *Machine) answer(n *node, o Order, now time.Time) error {
	output, handle := o.Data, graph.OutputHandle
	if n.suspended.Approval {
		handle = nodes.DecisionIn(o.Data)
		output = nodes.DecisionBy(o.Data, o.User)
	}
	encoded, err := json.Marshal(output)
	if err != nil {
		return err
	}
	return m.add(NodeCompleted, n, Completion{Output: encoded, Variable: n.suspended.Config.OutputVariable, Handle: handle, InputID: o.ID}, now)
}

// awaiting returns the node that made a request.
func (m *Machine) awaiting(requestID string) (*node, error) {
	for _, n := range m.asking() {
		if requestID == "" || n.suspended.RequestID == requestID {
			return n, nil
		}
	}
	if requestID == "" {
		return nil, events.Errorf(events.CodeConflict, "run %s does not wait for an input", m.opts.RunID)
	}
	return nil, NoRequest(requestID)
}

// NoRequest is the error for a request that nobody waits for an answer to.
func NoRequest(requestID string) error {
	return events.Errorf(events.CodeNotFound, "the request %s does not exist, or was answered, or has expired", requestID)
}
