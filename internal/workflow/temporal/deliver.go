//go:build temporal

package temporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	changed, stop := e.changes.watch(r.ID) // before looking, so that nothing is missed
	defer stop()
	taken, through, err := e.try(ctx, r, o)
	if taken || err != nil {
		return err
	}
	if e.down() {
		return errAway()
	}
	err = e.send(ctx, r.ID, o)
	var public *events.Error
	var large *serviceerror.InvalidArgument
	switch {
	case errors.As(err, &public):
		return err
	case errors.As(err, &large):
		return events.FieldErrorf(o.Field, "is more than Temporal takes in a signal: %v", large.Message)
	case err != nil:
		return e.away("signalling run "+r.ID, err)
	}
	return e.await(ctx, r, o, through, changed)
}

// patience is how long an order may take at most before who gave it is told that
// it is not known what becomes of it.
const patience = 20 * time.Second

// try reports whether the log has an order, and what would keep it from being
// carried out now.
func (e *Engine) try(ctx context.Context, r workflow.Run, o interpreter.Order) (taken bool, through uint64, err error) {
	log, err := e.opts.Store.Log(ctx, r.ID, 0)
	if err != nil {
		return false, 0, fmt.Errorf("reading log: %w", err)
	}
	m := r.Machine(e.opts.Types, e.opts.Limits)
	m.Replay(log)
	through = m.Seq()
	if m.Taken(o.ID) {
		return true, through, nil
	}
	return false, through, m.Order(o, e.opts.Now().UTC())
}

// send gives an order to the workflow of a run.
func (e *Engine) send(ctx context.Context, runID string, o interpreter.Order) error {
	timed, cancel := e.timed(ctx)
	defer cancel()
	err := e.cluster.Signal(timed, runID, orderSignal, o)
	if !errors.Is(err, errGone) {
		return err
	}
	at, err := e.cluster.State(timed, runID)
	if err != nil {
		return err
	}
	return e.orphaned(ctx, runID, at, o)
}

// orphaned carries out an order for a run that has no workflow: it was not
// started yet, or is over, or somebody ended the workflow in Temporal itself, and
// then the run is over too.
func (e *Engine) orphaned(ctx context.Context, runID string, at state, o interpreter.Order) error {
	var refused error
	_, err := e.goOn(ctx, runID, func(p *projection, now time.Time) error {
		switch {
		case p.m.Ended() != nil:
		case at == unknown && !p.m.Begun() && p.run.Parent == "":
			refused = events.Errorf(events.CodeConflict, "run %s is %s and takes no input", runID, events.RunPending)
			return errNothing
		case o.Ends():
			return p.m.Order(o, now)
		default:
			return p.end(interpreter.Ending{Status: events.RunFailed, Error: "its workflow in Temporal is gone"}, now)
		}
		return nil
	})
	if refused != nil {
		return refused
	}
	return err
}

// errNothing keeps a run from being touched.
var errNothing = errors.New("nothing is to be done")

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
	mu       sync.Mutex
	watching map[string][]chan struct{}
}

// watch returns a channel that gets something when the log of a run has gone on,
// until stop is called.
func (c *changes) watch(runID string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watching == nil {
		c.watching = map[string][]chan struct{}{}
	}
	c.watching[runID] = append(c.watching[runID], ch)
	return ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		left := slices.DeleteFunc(c.watching[runID], func(other chan struct{}) bool { return other == ch })
		if c.watching[runID] = left; len(left) == 0 {
			delete(c.watching, runID)
		}
	}
}

func (c *changes) tell(runID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.watching[runID] {
		select {
		case ch <- struct{}{}:
		default: // it has not looked yet
		}
	}
}
