//go:build temporal

package temporal

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// attend starts the runs that a run waits for, and returns how those ended that
// are over.
func (e *Engine) attend(ctx context.Context, at step) (map[string]interpreter.Ending, error) {
	ended := map[string]interpreter.Ending{}
	for _, c := range at.children {
		end, err := e.child(ctx, at.run, c)
		if err != nil {
			return nil, err
		}
		if end != nil {
			ended[c.RunID] = *end
		}
	}
	return ended, nil
}

// child starts a run that another waits for, unless that was done before, and
// returns how it ended, nil if it goes on.
func (e *Engine) child(ctx context.Context, parent workflow.Run, c interpreter.Child) (*interpreter.Ending, error) {
	run, err := e.opts.Store.Run(ctx, c.RunID)
	switch {
	case errors.Is(err, workflow.ErrNotFound):
		made, input, err := workflow.NewChild(ctx, e.opts.Store, parent, c, e.opts.Now().UTC())
		if err != nil {
			return &interpreter.Ending{Status: events.RunFailed, Error: err.Error()}, nil
		}
		if err := e.Prepare(ctx, made, input); err != nil {
			return nil, err
		}
		run = made
	case err != nil:
		return nil, fmt.Errorf("reading run: %w", err)
	case run.Status.Terminal():
		return e.ending(ctx, run)
	}
	return nil, e.cluster.Start(ctx, ticket{run.ID, run.Tenant})
}

// ending returns how a run ended, as its log says.
func (e *Engine) ending(ctx context.Context, run workflow.Run) (*interpreter.Ending, error) {
	log, err := e.opts.Store.Log(ctx, run.ID, 0)
	if err != nil {
		return nil, fmt.Errorf("reading log: %w", err)
	}
	for _, entry := range log {
		if entry.Type == interpreter.RunEnded {
			end := interpreter.Decode[interpreter.Ending](entry)
			return &end, nil
		}
	}
	return &interpreter.Ending{Status: run.Status, Error: run.Error}, nil
}

// tidy does what the end of a run means for others: the run that waits for it
// looks, and those that it waits for end.
func (e *Engine) tidy(ctx context.Context, at step) error {
	if parent := at.run.Parent; parent != "" {
		if err := e.cluster.Signal(ctx, parent, pokeSignal, nil); err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	children, err := e.opts.Store.ChildRuns(ctx, at.run.ID)
	if err != nil {
		return fmt.Errorf("reading runs: %w", err)
	}
	end := interpreter.Order{Do: interpreter.Cancel, ID: "the end of " + at.run.ID}
	if at.Status == events.RunStopped {
		end.Do = interpreter.Stop
	}
	for _, c := range children {
		if c.Status.Terminal() {
			continue
		}
		end.RunID = c.ID
		if err := e.send(ctx, c, end); err != nil {
			return err
		}
	}
	return nil
}
