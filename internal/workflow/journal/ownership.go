package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// page is how many runs are taken over at a time.
const page = 100

// Resume takes up runs that go on nowhere: those of instances that are gone,
// and those that this one had to give up when the store failed. Each goes on
// from what its log says. Nodes that had begun, and of which no result is
// stored, begin again.
func (e *Engine) Resume(ctx context.Context) error {
	owner := e.opts.Owner()
	if owner == "" {
		return nil
	}
	failed := errors.Join(e.repair(ctx, owner), e.lookAtChildren(ctx))
	for {
		runs, err := e.opts.Store.AbandonedRuns(ctx, page)
		if err != nil {
			return errors.Join(failed, fmt.Errorf("looking for abandoned runs: %w", err))
		}
		taken := 0
		for _, r := range runs {
			ok, err := e.takeOver(ctx, r, owner)
			if ok {
				taken++
			}
			if err != nil {
				failed = errors.Join(failed, err)
			}
		}
		if taken < page || failed != nil {
			return failed
		}
	}
}

// takeOver takes up a run whose owner is gone, unless another instance does.
func (e *Engine) takeOver(ctx context.Context, r workflow.Run, owner string) (bool, error) {
	if r.Owner == owner {
		return false, nil // without other instances the owner is nowhere to be found
	}
	taken, err := e.opts.Store.TakeRun(ctx, r.ID, r.Owner, owner)
	if err != nil {
		return false, fmt.Errorf("taking over run %s: %w", r.ID, err)
	}
	if !taken {
		return false, nil
	}
	r.Owner = owner
	if r.Plan == nil {
		return true, e.endUnreadable(ctx, r)
	}
	return true, e.resume(ctx, r)
}

// endUnreadable ends a run whose definition cannot be read.
func (e *Engine) endUnreadable(ctx context.Context, r workflow.Run) error {
	r.Plan = graph.NewPlan(graph.Definition{})
	x, err := e.begin(r)
	if x == nil {
		return err
	}
	defer x.mu.Unlock()
	if err := x.load(ctx); err != nil {
		return err
	}
	end, err := interpreter.NewEntry(interpreter.RunEnded, "", "", interpreter.Ending{Status: events.RunFailed, Error: "its definition cannot be read"})
	if err != nil {
		return err
	}
	x.log.Error("run cannot go on: its definition cannot be read")
	x.m.Add(end, e.now())
	return x.commit()
}

// maxFailures is how many runs may fail to be taken up again before the rest has
// to wait for next time: it may be the store.
const maxFailures = 10

// repair takes up the runs that were given up here when the store failed.
func (e *Engine) repair(ctx context.Context, owner string) error {
	e.mu.Lock()
	broken := e.broken // one that is given up again meanwhile is noted anew
	e.broken = map[string]bool{}
	e.mu.Unlock()
	var failed []error
	for id := range broken {
		if len(failed) == maxFailures {
			e.giveUp(id)
		} else if err := e.repairRun(ctx, id, owner); err != nil {
			failed = append(failed, err)
			e.giveUp(id)
		}
	}
	return errors.Join(failed...)
}

// giveUp notes a run that is to be taken up again later.
func (e *Engine) giveUp(runID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.broken[runID] = true
}

func (e *Engine) repairRun(ctx context.Context, id, owner string) error {
	r, err := e.opts.Store.Run(ctx, id)
	switch {
	case errors.Is(err, workflow.ErrNotFound):
		return nil // it could not even be created
	case err != nil:
		return fmt.Errorf("reading run %s, which was given up: %w", id, err)
	case r.Owner != owner:
		return nil
	case r.Status.Terminal():
		return e.finishLate(ctx, r)
	}
	return e.resume(ctx, r)
}

// finishLate does what was not done when a run ended, because the store had
// stored that and then failed to say so.
func (e *Engine) finishLate(ctx context.Context, r workflow.Run) error {
	x := newExecution(e, r)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.load(ctx); err != nil || x.m.Ended() == nil {
		return err
	}
	e.opts.Resumed(r, x.m.Seq())
	x.finish()
	return nil
}

// resume takes up a run that is this instance's and goes on nowhere.
func (e *Engine) resume(ctx context.Context, r workflow.Run) error {
	x, err := e.begin(r)
	if x == nil {
		return err
	}
	defer x.mu.Unlock()
	if err := x.load(ctx); err != nil {
		e.giveUp(r.ID)
		return err
	}
	if x.over() {
		x.withdraw()
		return nil
	}
	again := x.m.Unfinished()
	x.eng.repeated(x, again)
	if x.m.Begun() {
		defer x.eng.opts.Resumed(x.run, x.m.Seq())
	}
	if x.run.Parent != "" {
		x.eng.working.Go(x.lookAtParent)
	}
	x.m.Wake(x.eng.now())
	if err := x.commit(); err != nil || x.over() {
		return err
	}
	for _, w := range again {
		x.dispatch(w)
	}
	return nil
}

// repeated counts nodes that begin again.
func (e *Engine) repeated(x *execution, work []interpreter.Work) {
	for _, w := range work {
		x.log.Warn("node begins again: the process ended before its result was stored", "node", w.Node, "iteration", w.Iteration)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.repeats += int64(len(work))
}

// lookAtChildren looks at the runs that nodes here wait for: who was to tell how
// they ended may have died before.
func (e *Engine) lookAtChildren(ctx context.Context) error {
	e.mu.Lock()
	live := slices.Collect(maps.Values(e.live))
	e.mu.Unlock()
	var failed error
	for _, x := range live {
		failed = errors.Join(failed, x.lookAtChildren(ctx))
	}
	return failed
}

// Lost gives up every run that goes on here, without a word: they may be
// others' from now on. It does not wait for anything.
func (e *Engine) Lost() {
	e.mu.Lock()
	defer e.mu.Unlock()
	live := slices.Collect(maps.Values(e.live))
	clear(e.live)
	clear(e.broken)
	clear(e.tenants)
	for _, x := range live {
		x.cancel()
	}
	if e.closing {
		return
	}
	e.working.Go(func() {
		for _, x := range live {
			x.giveUp()
		}
	})
}

// giveUp leaves a run to others.
func (x *execution) giveUp() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.broken = true
	x.withdraw()
}
