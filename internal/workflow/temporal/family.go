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
// are over, as orders for it.
func (e *Engine) attend(ctx context.Context, at step) (news []interpreter.Order, err error) {
	for _, c := range at.children {
		end, err := e.child(ctx, at.run, c)
		if err != nil {
			return nil, err
		}
		if end != nil {
			news = append(news, interpreter.Order{RunID: at.run.ID, Do: interpreter.ChildEnded, Child: c.RunID, Ending: end})
		}
	}
	return news, nil
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
		if err := e.create(ctx, made, input); err != nil {
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
	return run.Replay(log).Ended(), nil
}

// tidy does what the end of a run means for others: the run that waits for it
// looks, and those that it waited for end.
func (e *Engine) tidy(ctx context.Context, at step) error {
	if parent := at.run.Parent; parent != "" {
		if err := e.cluster.Signal(ctx, parent, pokeSignal, nil); err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	for _, c := range at.children {
		if err := e.send(ctx, c.RunID, interpreter.Order{RunID: c.RunID, Do: interpreter.Cancel, ID: c.RunID}); err != nil {
			return err
		}
	}
	return nil
}
