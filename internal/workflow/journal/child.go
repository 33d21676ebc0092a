package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// startChildren starts the runs that nodes wait for. The mutex is held.
func (x *execution) startChildren() {
	waited := map[string]bool{}
	for _, c := range x.m.Children() {
		waited[c.RunID] = true
		if !x.children[c.RunID] {
			x.children[c.RunID] = true
			x.eng.working.Go(func() { x.startChild(c) })
		}
	}
	for id, wanted := range x.children {
		if wanted && !waited[id] {
			x.children[id] = false
			x.cancelChild(id)
		}
	}
}

// startChild starts a run, or takes how it ended if that was before. What cannot
// be done now is tried again with the next [Engine.Resume].
func (x *execution) startChild(c interpreter.Child) {
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	defer cancel()
	child, input, err := workflow.NewChild(ctx, x.eng.opts.Store, x.run, c, x.eng.now())
	if e, meant := events.Public(err); err != nil && meant {
		x.childEnded(c.RunID, interpreter.Ending{Status: events.RunFailed, Error: e.Message})
		return
	}
	if err == nil {
		err = x.eng.Execute(ctx, child, input)
	}
	if e, meant := events.Public(err); meant && e.Code == events.CodeTooManyRuns {
		if _, err = x.eng.opts.Store.Run(ctx, c.RunID); errors.Is(err, workflow.ErrNotFound) {
			x.childEnded(c.RunID, interpreter.Ending{Status: events.RunFailed, Error: e.Message})
			return
		}
	}
	if err == nil {
		err = x.lookAtChild(ctx, c.RunID)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil && !x.over() {
		x.log.Warn("the run of a node could not be started yet", "child", c.RunID, "error", err)
		delete(x.children, c.RunID)
	}
	if wanted, known := x.children[c.RunID]; x.m.Ended() != nil || known && !wanted { // while it was being started
		x.cancelChild(c.RunID)
	}
}

// lookAtChild takes how a run ended, if it has.
func (x *execution) lookAtChild(ctx context.Context, runID string) error {
	run, err := x.eng.opts.Store.Run(ctx, runID)
	if errors.Is(err, workflow.ErrNotFound) {
		return nil // it is being started
	}
	if err != nil || !run.Status.Terminal() {
		return err
	}
	log, err := x.eng.opts.Store.Log(ctx, runID, 0)
	if err != nil {
		return err
	}
	if end := run.Replay(log).Ended(); end != nil {
		x.childEnded(runID, *end)
	}
	return nil
}

func (x *execution) childEnded(runID string, end interpreter.Ending) {
	x.take(interpreter.Order{Do: interpreter.ChildEnded, Child: runID, Ending: &end}) // it has told what went wrong
}

// lookAtChildren takes how the runs of nodes ended, if nobody has told.
func (x *execution) lookAtChildren(ctx context.Context) error {
	x.mu.Lock()
	children := x.m.Children()
	if !x.over() && !x.paused {
		x.startChildren() // those that could not be before
	}
	x.mu.Unlock()
	for _, c := range children {
		if err := x.lookAtChild(ctx, c.RunID); err != nil {
			return fmt.Errorf("reading the run of a node: %w", err)
		}
	}
	return nil
}

// tellParent tells the run that waits for this one how it ended. If it does not
// hear of it, it looks.
func (x *execution) tellParent() {
	if x.run.Parent == "" {
		return
	}
	end := *x.m.Ended()
	end.InputID = ""
	x.inBackground(x.run.Parent, interpreter.Order{Do: interpreter.ChildEnded, Child: x.run.ID, Ending: &end})
}

// lookAtParent ends a run that was taken up if nobody waits for it any more: who
// was to end it may have died before.
func (x *execution) lookAtParent() {
	ctx, cancel := context.WithTimeout(x.ctx, limit)
	defer cancel()
	if parent, err := x.eng.opts.Store.Run(ctx, x.run.Parent); err == nil && parent.Status.Terminal() {
		x.take(interpreter.Order{Do: interpreter.Cancel, ID: x.run.ID}) // it has told what went wrong
	}
}

// endChildren cancels the runs that nobody waits for any more.
func (x *execution) endChildren() {
	for _, c := range x.m.Children() {
		x.cancelChild(c.RunID)
	}
}

func (x *execution) cancelChild(runID string) {
	x.inBackground(runID, interpreter.Order{Do: interpreter.Cancel, ID: runID})
}

// inBackground delivers an order to another run.
func (x *execution) inBackground(runID string, o interpreter.Order) {
	x.eng.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		err := x.eng.Deliver(ctx, workflow.Run{ID: runID}, o)
		if _, meant := events.Public(err); err != nil && !meant {
			x.log.Warn("another run was not told", "other", runID, "error", err)
		}
	})
}
