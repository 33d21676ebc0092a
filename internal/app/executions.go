package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/rawws"
	"github.com/roomcast/roomcast/internal/workflow"
)

// executions are workflows and runs as clients need them that speak genesis.
// What a client waits for takes no longer than an event of a Socket.IO client.
type executions struct {
	workflows *workflow.Service
	timeout   time.Duration
	reads     *runReads
}

var (
	_ rawws.Workflows = executions{}
	_ rawws.Runs      = executions{}
)

// inTime calls fn with a deadline, and says so if that has passed.
func (e executions) inTime(ctx context.Context, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	err := fn(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return events.Errorf(events.CodeTimeout, "the server took longer than %v", e.timeout)
	}
	return err
}

// Find implements [rawws.Workflows].
func (e executions) Find(ctx context.Context, id *auth.Identity, action auth.Action, tenant, workflowID string) (found rawws.Workflow, err error) {
	err = e.inTime(ctx, func(ctx context.Context) error {
		var w workflow.Workflow
		var err error
		if tenant == "" {
			w, err = e.workflows.Get(ctx, id, action, workflowID)
		} else {
			w, err = e.workflows.Find(ctx, id, action, tenant, workflowID)
		}
		found = rawws.Workflow{ID: w.ID, Tenant: w.Tenant, Handle: w}
		return err
	})
	return found, err
}

// Draft implements [rawws.Workflows].
func (e executions) Draft(ctx context.Context, id *auth.Identity, w rawws.Workflow, input map[string]any) (rawws.RunDraft, error) {
	d, err := e.workflows.Draft(ctx, id, w.Handle.(workflow.Workflow), input)
	return rawws.RunDraft{RunID: d.ID, StartedAt: d.StartedAt, Through: d.Through(), Launch: func(ctx context.Context) error {
		return e.inTime(ctx, func(ctx context.Context) error {
			_, err := e.workflows.Launch(ctx, d)
			return err
		})
	}}, err
}

// newestRuns is among how many runs of a workflow those are looked for that go
// on.
const newestRuns = 100

// UnderWay implements [rawws.Workflows].
func (e executions) UnderWay(ctx context.Context, id *auth.Identity, w rawws.Workflow) (ids []string, err error) {
	err = e.inTime(ctx, func(ctx context.Context) error {
		runs, err := e.workflows.Runs(ctx, id, w.Tenant, w.ID, newestRuns)
		for _, r := range slices.Backward(runs) {
			if !r.Status.Terminal() {
				ids = append(ids, r.ID)
			}
		}
		return err
	})
	return ids, err
}

// Read implements [rawws.Runs].
func (e executions) Read(ctx context.Context, id *auth.Identity, runID string, after uint64) (rawws.RunRead, error) {
	var run workflow.Run
	if err := e.inTime(ctx, func(ctx context.Context) (err error) {
		run, err = e.workflows.Run(ctx, id, auth.ReadRuns, runID)
		return err
	}); err != nil {
		return rawws.RunRead{}, err
	}
	h, err := e.reads.read(ctx, runID, after, func(after uint64) (h workflow.History, err error) {
		err = e.inTime(context.WithoutCancel(ctx), func(ctx context.Context) (err error) { // others want it, too
			h, err = e.workflows.History(ctx, run, after)
			return err
		})
		return h, err
	})
	read := rawws.RunRead{StartedAt: run.StartedAt, Through: h.Through}
	for _, u := range h.Updates {
		if u.Offset > after {
			read.Updates = append(read.Updates, rawws.RunUpdate{Payload: u.Payload, At: u.Entry.At, Size: u.Size()})
		}
	}
	return read, err
}
