package journal

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// startRun is an order for an instance: it is to start a run that it has
// prepared.
const startRun interpreter.OrderTo = "start"

// startElsewhere lets a run go that another instance has prepared, and may not
// have started: whoever had asked for it lost the connection in between, and
// asks again here.
func (e *Engine) startElsewhere(ctx context.Context, r workflow.Run) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return e.insist(ctx, r.ID, func() (bool, error) { return e.tryStart(ctx, r.ID) })
}

func (e *Engine) tryStart(ctx context.Context, runID string) (done bool, err error) {
	r, err := e.opts.Store.Run(ctx, runID)
	if err != nil {
		return true, fmt.Errorf("reading run: %w", err)
	}
	owner := e.opts.Owner()
	switch {
	case r.Status != events.RunPending:
		return true, nil // whoever has it goes on with it
	case owner == "":
		return true, errApart
	case r.Owner == owner:
		return true, e.Start(ctx, r)
	}
	taken, err := e.opts.Store.TakeRun(ctx, r.ID, r.Owner, owner)
	if err != nil {
		return true, fmt.Errorf("taking over run: %w", err)
	}
	if taken {
		r.Owner = owner
		return true, e.resume(ctx, r)
	}
	if r.Owner == "" || e.opts.Peers == nil {
		return false, nil // somebody else was faster
	}
	return e.send(ctx, r.Owner, &interpreter.Order{Do: startRun, RunID: r.ID})
}

// serveStart starts a run because another instance was asked to.
func (e *Engine) serveStart(ctx context.Context, runID string) ([]byte, error) {
	r, err := e.opts.Store.Run(ctx, runID)
	if err != nil {
		return nil, fmt.Errorf("reading run: %w", err)
	}
	if r.Owner != e.opts.Owner() {
		return json.Marshal(answer{Elsewhere: true})
	}
	if err := e.Start(ctx, r); err != nil {
		return nil, err
	}
	return json.Marshal(answer{})
}
