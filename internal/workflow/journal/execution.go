package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// An execution is a run that goes on in this process.
type execution struct {
	eng    *Engine
	run    workflow.Run
	ctx    context.Context // of its nodes; ends with the run
	cancel context.CancelFunc
	log    *slog.Logger

	mu       sync.Mutex // held while entries are made, stored and published
	m        *interpreter.Machine
	create   bool                // the run is not stored yet
	entries  []interpreter.Entry // made and not stored yet
	updates  *workflow.Updates
	rest     []interpreter.Work // pure, and put off
	inLine   bool               // goOn is about to do it
	timer    *time.Timer
	children map[string]bool // runs of nodes that were started, or are being; false if nobody waits any more
	broken   bool            // the store has failed, or has another owner; nothing goes on here
	paused   bool            // the process is about to end: results are stored, and nothing begins
}

func newExecution(e *Engine, r workflow.Run) *execution {
	ctx, cancel := context.WithCancel(context.Background())
	x := &execution{
		eng: e, run: r, ctx: ctx, cancel: cancel, children: map[string]bool{},
		log: e.opts.Logger.With("run", r.ID, "tenant", r.Tenant, "workflow", r.WorkflowID),
	}
	x.open(nil)
	return x
}

// open brings the run to where its log says it is.
func (x *execution) open(log []interpreter.Entry) {
	x.m = x.run.Machine(x.eng.opts.Types, x.eng.opts.Limits)
	x.m.Replay(log)
	x.updates = workflow.NewUpdates(x.run, x.m)
	x.m.Record(func(e interpreter.Entry) {
		x.entries = append(x.entries, e)
		x.updates.Add(e)
	})
}

// load is open with the log that is stored.
func (x *execution) load(ctx context.Context) error {
	log, err := x.eng.opts.Store.Log(ctx, x.run.ID, 0)
	if err != nil {
		x.broken = true // those who have found it and wait for it look again
		x.withdraw()
		return fmt.Errorf("reading log of run %s: %w", x.run.ID, err)
	}
	x.open(log)
	return nil
}

// first lets a new run go, and unlocks it.
func (x *execution) first(input interpreter.Entry) error {
	defer x.mu.Unlock()
	x.create = true
	x.m.Add(input, input.At)
	return x.commit()
}

// over reports whether nothing may happen in the run any more.
func (x *execution) over() bool { return x.broken || x.m.Ended() != nil }

// commit goes on after something has happened: it computes what follows, stores
// and publishes it, and begins what is to be done. The mutex is held.
func (x *execution) commit() error { return x.advance(false) }

// advance is commit for who may have a slot to compute in.
func (x *execution) advance(slot bool) error {
	var effects []interpreter.Work
	if !x.paused {
		effects = x.compute(slot)
	}
	if err := x.flush(); err != nil {
		return err
	}
	if x.m.Ended() != nil {
		x.finish()
		return nil
	}
	if x.paused {
		return nil
	}
	for _, w := range effects {
		x.dispatch(w)
	}
	x.startChildren()
	x.arm()
	if len(x.rest) > 0 && !x.inLine {
		x.inLine = true
		x.eng.working.Go(x.goOn)
	}
	return nil
}

// How much is computed before it is stored and others get their turn.
const (
	maxEntries = 200
	maxTime    = 10 * time.Millisecond
)

// compute evaluates the nodes that only compute, for a while, and returns the
// others. Without a slot, and if none is free, they are put off: nobody waits
// for other runs with this one in hand.
func (x *execution) compute(slot bool) (effects []interpreter.Work) {
	began := time.Now()
	work := append(x.rest, x.m.Next(x.eng.now())...)
	x.rest = nil
	for len(work) > 0 {
		w := work[0]
		work = work[1:]
		if !w.Pure {
			effects = append(effects, w)
			continue
		}
		if !slot && x.eng.computing.TryAcquire(x.run.Tenant) {
			slot = true
			defer x.eng.computing.Release(x.run.Tenant)
		}
		if !slot || len(x.entries) >= maxEntries || time.Since(began) > maxTime {
			x.rest = append(x.rest, w)
			continue
		}
		now := x.eng.now()
		typ, call := x.m.Call(w, now)
		result, err := x.eng.opts.Types.Execute(x.ctx, typ, call, x.log)
		if x.ctx.Err() != nil {
			return nil // whatever it says, it was interrupted
		}
		x.m.Result(w, result, err, now)
		work = append(work, x.m.Next(now)...)
	}
	return effects
}

// goOn computes what was put off, when it is its turn.
func (x *execution) goOn() {
	slot := x.eng.computing.Acquire(x.ctx, x.run.Tenant)
	if slot {
		defer x.eng.computing.Release(x.run.Tenant)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inLine = false
	if slot && !x.over() && x.ctx.Err() == nil {
		x.advance(true) // it has told what went wrong
	}
}

// flush stores what has happened, and then tells it.
func (x *execution) flush() error {
	if len(x.entries) == 0 {
		return nil
	}
	w := workflow.Write{RunID: x.run.ID, Owner: x.run.Owner, Entries: x.entries}
	if x.create {
		w.Create = &x.run
	}
	if err := x.eng.journal.Write(w); err != nil {
		x.fail(err)
		return fmt.Errorf("appending to run: %w", err)
	}
	x.entries, x.create = nil, false
	x.eng.opts.Feed.Publish(x.updates.Take())
	return nil
}

// fail gives up on a run whose log cannot be written: what cannot be
// remembered must not happen. If it still is this instance's, [Engine.Resume]
// takes it up again.
func (x *execution) fail(err error) {
	x.broken = true
	switch {
	case errors.Is(err, workflow.ErrExists):
	case errors.Is(err, workflow.ErrLost), errors.Is(err, workflow.ErrNotFound):
		x.log.Warn("run goes on elsewhere", "reason", err)
	default:
		x.log.Error("run cannot go on", "error", err)
		x.eng.giveUp(x.run.ID)
	}
	x.withdraw()
}

// finish takes a run that is over out of the process, and tells those that
// depend on it.
func (x *execution) finish() {
	x.withdraw()
	end := x.m.Ended()
	if end.Status == events.RunFailed {
		x.log.Warn("run finished", "status", string(end.Status), "title", x.run.Title, "reason", end.Error)
	} else {
		x.log.Info("run finished", "status", string(end.Status), "title", x.run.Title)
	}
	x.eng.countEnd(end.Status)
	x.tellParent()
	x.endChildren()
}

// withdraw takes a run out of the process.
func (x *execution) withdraw() {
	x.stopTimer()
	x.cancel()
	x.eng.forget(x)
}

// pause keeps anything new from beginning.
func (x *execution) pause() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.paused = true
	x.stopTimer()
}

// dispatch runs a node on a goroutine of its own.
func (x *execution) dispatch(w interpreter.Work) {
	x.eng.working.Go(func() {
		if !x.eng.slots.Acquire(x.ctx, x.run.Tenant) {
			return
		}
		x.mu.Lock()
		typ, call := x.m.Call(w, x.eng.now()) // copies the variables: not before it is its turn
		x.mu.Unlock()
		result, err := x.eng.opts.Types.Execute(x.ctx, typ, call, x.log)
		x.eng.slots.Release(x.run.Tenant)
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.over() || x.ctx.Err() != nil {
			return // whatever it says, it was interrupted
		}
		x.m.Result(w, result, err, x.eng.now())
		x.commit() // it has told what went wrong
	})
}

// arm sets the timer to when something is to happen by itself.
func (x *execution) arm() {
	x.stopTimer()
	if at := x.m.Alarm(); !at.IsZero() {
		x.timer = time.AfterFunc(at.Sub(x.eng.now()), x.wake)
	}
}

func (x *execution) stopTimer() {
	if x.timer != nil {
		x.timer.Stop()
	}
}

// wake goes on when the time has come.
func (x *execution) wake() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over() || x.paused || x.ctx.Err() != nil {
		return
	}
	x.m.Wake(x.eng.now())
	x.commit() // it has told what went wrong
}
