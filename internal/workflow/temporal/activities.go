//go:build temporal

package temporal

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// What the activities are called in Temporal.
const (
	advanceActivity = "roomcast.advance"
	executeActivity = "roomcast.execute"
)

// advance is the activity that lets the log of a run go on. Done again, it does
// nothing.
func (e *Engine) advance(ctx context.Context, runID string, i impulse) (step, error) {
	at, err := e.goOn(ctx, runID, func(p *projection, now time.Time) error {
		if i.Due.After(now) {
			now = i.Due // the clock of Temporal says so
		}
		p.m.Wake(now)
		if i.Order == nil {
			return nil
		}
		if err := p.m.Order(*i.Order, now); err != nil {
			// Who gave it sees in the log that it cannot be carried out any more.
			e.log.Info("order was refused", "run", runID, "order", string(i.Order.Do), "reason", err)
		}
		return nil
	})
	return at, final(err)
}

// execute is the activity that executes a node and writes down the result: it
// may be large, and Temporal need not know it.
func (e *Engine) execute(ctx context.Context, runID string, w interpreter.Work) (step, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer e.interruptible(runID, cancel)()
	defer e.beat(ctx)()

	p := e.runs.of(runID)
	var typ string
	var call nodes.Call
	outstanding := false
	err := p.look(ctx, func() {
		if outstanding = isOutstanding(p.m, w); outstanding {
			typ, call = p.m.Call(w, e.opts.Now())
		}
	})
	if err != nil {
		return step{}, final(err)
	}
	take := func(*projection, time.Time) error { return nil }
	if outstanding {
		if activity.GetInfo(ctx).Attempt > 1 {
			e.repeats(runID, w)
		}
		result, failure := e.opts.Types.Execute(ctx, typ, call, e.log)
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errEnded) {
			return step{}, ctx.Err() // it was interrupted, and is executed somewhere else
		}
		take = func(p *projection, now time.Time) error {
			if isOutstanding(p.m, w) {
				p.m.Result(w, result, failure, now)
			}
			return nil
		}
	}
	at, err := e.goOn(context.WithoutCancel(ctx), runID, take)
	return at, final(err)
}

func isOutstanding(m *interpreter.Machine, w interpreter.Work) bool {
	for _, o := range m.Unfinished() {
		if o == w {
			return true
		}
	}
	return false
}

// goOn is carry with what has to be done for other runs besides. Who does it a
// second time does nothing.
func (e *Engine) goOn(ctx context.Context, runID string, fn func(*projection, time.Time) error) (step, error) {
	p := e.runs.of(runID)
	at, err := p.carry(ctx, fn)
	for err == nil && at.Status == "" && len(at.children) > 0 {
		var news []interpreter.Order
		if news, err = e.attend(ctx, at); err != nil || len(news) == 0 {
			break
		}
		at, err = p.carry(ctx, func(p *projection, now time.Time) error { return p.orders(news, now) })
	}
	if err == nil && at.Status != "" {
		if err = e.tidy(ctx, at); err == nil {
			e.runs.forget(runID)
		}
	}
	return at, err
}

// final tells Temporal not to try again what cannot come to anything.
func final(err error) error {
	if errors.Is(err, workflow.ErrNotFound) {
		return temporal.NewNonRetryableApplicationError(err.Error(), "NotFound", nil)
	}
	return err
}

// beat lets Temporal know that a node still runs, until the returned function
// is called.
func (e *Engine) beat(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	tick := time.NewTicker(min(time.Second, e.opts.Heartbeat/3))
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// errEnded is why the nodes of a run that is over are interrupted.
var errEnded = errors.New("the run is over")

// interruptible notes a node that runs here, until the returned function is
// called.
func (e *Engine) interruptible(runID string, cancel context.CancelCauseFunc) (done func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[runID] == nil {
		e.running[runID] = map[int]context.CancelCauseFunc{}
	}
	e.begun++
	id := e.begun
	e.running[runID][id] = cancel
	return func() {
		cancel(nil)
		e.mu.Lock()
		defer e.mu.Unlock()
		if delete(e.running[runID], id); len(e.running[runID]) == 0 {
			delete(e.running, runID)
		}
	}
}

// repeats notes that a node is executed again.
func (e *Engine) repeats(runID string, w interpreter.Work) {
	e.log.Warn("node is executed again: it is not known what became of it", "run", runID, "node", w.Node, "iteration", w.Iteration)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.Repeated++
}

// over counts a run that has ended, and ends its nodes.
func (e *Engine) over(runID string, end interpreter.Ending) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.Ended[end.Status]++
	for _, cancel := range e.running[runID] {
		cancel(errEnded)
	}
}
