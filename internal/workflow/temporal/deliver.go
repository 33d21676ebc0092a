//go:build temporal

package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// Deliver implements [workflow.Engine]. The order travels as a signal; the log
// tells what has become of it.
func (e *Engine) Deliver(ctx context.Context, r workflow.Run, o interpreter.Order) error {
	changed := e.changes.next(r.ID) // before looking, so that nothing is missed
	taken, through, err := e.try(ctx, r, o)
	if taken || err != nil {
		return err
	}
	if e.down() {
		return errAway()
	}
	if err := e.send(ctx, r, o); err != nil {
		if _, large := errors.AsType[*serviceerror.InvalidArgument](err); large {
			return events.FieldErrorf(o.Field, "is more than Temporal takes in a signal: %v", err)
		}
		return e.away("signalling run "+r.ID, err)
	}
	return e.await(ctx, r, o, through, changed)
}

// try reports whether the log has an order, and what would keep it from being
// carried out now.
func (e *Engine) try(ctx context.Context, r workflow.Run, o interpreter.Order) (taken bool, through uint64, err error) {
	log, err := e.opts.Store.Log(ctx, r.ID, 0)
	if err != nil {
		return false, 0, fmt.Errorf("reading log: %w", err)
	}
	m := r.Machine(e.opts.Types, e.opts.MaxDuration, e.opts.MaxResult)
	m.Replay(log)
	through = m.Seq()
	if m.Taken(o.ID) {
		return true, through, nil
	}
	return false, through, m.Order(o, e.opts.Now().UTC())
}

// send gives an order to the workflow of a run. If there is none, because the
// run was not started, or somebody ended the workflow in Temporal, the order is
// carried out here.
func (e *Engine) send(ctx context.Context, r workflow.Run, o interpreter.Order) error {
	timed, cancel := e.timed(ctx)
	defer cancel()
	err := e.cluster.Signal(timed, r.ID, orderSignal, o)
	if !errors.Is(err, errGone) {
		return err
	}
	at, err := e.cluster.State(timed, r.ID)
	if err != nil {
		return err
	}
	lost := at == closed
	_, err = e.goOn(ctx, r.ID, func(p *projection, now time.Time) error {
		if err := p.m.Order(o, now); err != nil {
			return nil // try has told who gave it, or will
		}
		if lost {
			return p.end(interpreter.Ending{Status: events.RunFailed, Error: "its workflow in Temporal was ended"}, now)
		}
		return nil
	})
	return err
}

// lookAgain is how long nothing may be heard of a run before its log is read
// again: it may go on in another instance.
const lookAgain = 100 * time.Millisecond

// await returns when an order has been stored, or can be stored no more.
func (e *Engine) await(ctx context.Context, r workflow.Run, o interpreter.Order, through uint64, changed <-chan struct{}) error {
	for {
		select {
		case <-changed:
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return events.Errorf(events.CodeTimeout, "run %s has not taken this yet: it will, unless it ends before", r.ID)
		}
		changed = e.changes.next(r.ID)
		news, err := e.opts.Store.Log(ctx, r.ID, through)
		if err != nil {
			return fmt.Errorf("reading log: %w", err)
		}
		if len(news) == 0 {
			continue
		}
		var taken bool
		if taken, through, err = e.try(ctx, r, o); taken || err != nil {
			return err
		}
	}
}

// changes wakes who waits for the log of a run to go on, here.
type changes struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// next returns a channel that is closed when the log of a run goes on.
func (c *changes) next(runID string) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.waiting = map[string]chan struct{}{}
	}
	if c.waiting[runID] == nil {
		c.waiting[runID] = make(chan struct{})
	}
	return c.waiting[runID]
}

func (c *changes) tell(runID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.waiting[runID]; ch != nil {
		close(ch)
		delete(c.waiting, runID)
	}
}
