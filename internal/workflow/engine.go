package workflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// An Engine carries runs on. Whatever it is, the log of a run is in the [Store],
// and clients hear of an entry after it was stored, in order. Its methods may
// be called concurrently. Errors that are an *events.Error are for clients.
type Engine interface {
	Name() EngineName
	// Execute stores a new run with its first entry and lets it go. One that
	// exists, because it was executed before, is started.
	Execute(ctx context.Context, r Run, input interpreter.Entry) error
	// Start lets a run go that is stored. Starting one that has begun does
	// nothing.
	Start(ctx context.Context, r Run) error
	// Deliver carries out an order for a run, wherever it goes on, once for each
	// id of the order. It returns when the order has been stored, or refused.
	Deliver(ctx context.Context, r Run, o interpreter.Order) error
}

// maxDepth bounds how many runs may wait for each other.
const maxDepth = 8

// NewChild returns the run that a node of another waits for, and its first
// entry. Errors that are an *events.Error are for the author of the workflow, and
// final.
func NewChild(ctx context.Context, store Store, parent Run, c interpreter.Child, now time.Time) (Run, interpreter.Entry, error) {
	none := interpreter.Entry{}
	w, err := store.Workflow(ctx, IDOf(parent.Tenant, c.WorkflowID))
	switch {
	case errors.Is(err, ErrNotFound), err == nil && w.Tenant != parent.Tenant:
		return Run{}, none, events.NotFound("workflow", c.WorkflowID)
	case err != nil:
		return Run{}, none, fmt.Errorf("reading workflow: %w", err)
	case parent.Depth+1 > maxDepth:
		return Run{}, none, events.Errorf(events.CodeConflict, "more than %d workflows wait for each other", maxDepth)
	}
	values, _ := interpreter.Value(c.Input).(map[string]any)
	filled, err := w.Plan.Definition.Fill(values)
	if err != nil {
		return Run{}, none, err
	}
	input, err := firstEntry(filled, now)
	return Run{
		ID: c.RunID, WorkflowID: w.ID, Tenant: w.Tenant, Title: w.Title, Plan: w.Plan, Status: events.RunPending,
		StartedBy: parent.StartedBy, StartedAt: now, Engine: parent.Engine, Parent: parent.ID, Depth: parent.Depth + 1,
	}, input, err
}

// firstEntry is that of a run with these inputs.
func firstEntry(values map[string]any, now time.Time) (interpreter.Entry, error) {
	e, err := interpreter.NewEntry(interpreter.InputSet, "", "", values)
	e.Seq, e.At = 1, now
	return e, err
}

// order fills in what every order has.
func order(run Run, o interpreter.Order) interpreter.Order {
	o.RunID = run.ID
	if o.ID == "" {
		o.ID = uuid.NewString()
	}
	return o
}
