//go:build temporal

package temporal

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	sdkworkflow "go.temporal.io/sdk/workflow"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// What things are called in Temporal. Runs that are under way depend on it.
const (
	workflowName = "roomcast.run"
	orderSignal  = "order"
	pokeSignal   = "poke"
)

// An impulse is what a run goes on by, besides what its log has in store: an
// order, or that it is time for what was Due.
type impulse struct {
	Order *interpreter.Order `json:"order,omitempty"`
	Due   time.Time          `json:"due,omitzero"`
}

// A step says how a run goes on, as its log has it up to one entry. It is all
// that Temporal's history has of the run: values stay in the log.
type step struct {
	Through uint64 `json:"through"`
	// Work has begun, as far as the log knows, and has no result.
	Work []interpreter.Work `json:"work,omitempty"`
	// Alarm is when something is to happen by itself; zero is never.
	Alarm time.Time `json:"alarm,omitzero"`
	// More tells that the log could go on at once, and gave others a turn.
	More   bool             `json:"more,omitempty"`
	Status events.RunStatus `json:"status,omitempty"` // set when the run has ended
	Error  string           `json:"error,omitempty"`

	// What Temporal does not know.
	run      workflow.Run
	children []interpreter.Child // that nodes wait for
}

// ticket is the input of the workflow of a run.
type ticket struct {
	Run    string `json:"run"`
	Tenant string `json:"tenant"`
}

// priority lets the tenants that share a task queue have the same part of it, on
// clusters that know how.
func (t ticket) priority() temporal.Priority {
	key := t.Tenant
	if len(key) > 64 { // more is not taken
		sum := sha256.Sum256([]byte(key))
		key = hex.EncodeToString(sum[:])
	}
	return temporal.Priority{FairnessKey: key}
}

// A conductor is the workflow of one run in Temporal. It decides nothing: what
// the interpreter says, in an activity, is what it does, so it can be replayed
// whatever has become of the interpreter meanwhile.
type conductor struct {
	engine  *Engine
	ticket  ticket
	ctx     sdkworkflow.Context
	at      step
	running []execution
	alarm   execution // the timer, if there is one
	until   time.Time // when it rings
	orders  []interpreter.Order
	poked   bool
	// full tells that the history is long: nothing begins before it is cut.
	full bool
}

// execution is something that goes on, and how to end it.
type execution struct {
	work   interpreter.Work
	done   sdkworkflow.Future
	cancel sdkworkflow.CancelFunc
}

// conduct is the workflow function.
func (e *Engine) conduct(ctx sdkworkflow.Context, t ticket) error {
	c := &conductor{engine: e, ticket: t, ctx: ctx}
	c.advance(impulse{})
	for c.at.Status == "" {
		if c.obey(); c.at.Status != "" {
			break
		}
		if c.full = c.full || c.long(); c.full && len(c.running) == 0 {
			return sdkworkflow.NewContinueAsNewError(ctx, workflowName, t)
		}
		c.begin()
		c.wait()
	}
	return c.outcome()
}

// obey lets the log go on until there is nothing to tell it, and it waits.
func (c *conductor) obey() {
	for c.at.Status == "" {
		c.receive()
		switch {
		case c.ctx.Err() != nil: // somebody cancelled the workflow in Temporal itself
			c.advance(impulse{Order: &interpreter.Order{RunID: c.ticket.Run, Do: interpreter.Cancel}})
		case len(c.orders) > 0:
			o := c.orders[0]
			c.orders = c.orders[1:]
			c.advance(impulse{Order: &o})
		case c.poked, c.at.More:
			c.poked = false
			c.advance(impulse{})
		default:
			return
		}
	}
}

// receive takes the signals that have come.
func (c *conductor) receive() {
	for orders := sdkworkflow.GetSignalChannel(c.ctx, orderSignal); ; {
		var o interpreter.Order
		if !orders.ReceiveAsync(&o) {
			break
		}
		c.orders = append(c.orders, o)
	}
	for pokes := sdkworkflow.GetSignalChannel(c.ctx, pokeSignal); pokes.ReceiveAsync(nil); {
		c.poked = true
	}
}

// long reports whether the history is to be cut.
func (c *conductor) long() bool {
	info := sdkworkflow.GetInfo(c.ctx)
	return info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() >= c.engine.opts.MaxHistory
}

// advance lets the log go on, and takes the step that it has come to.
func (c *conductor) advance(i impulse) {
	ctx, _ := sdkworkflow.NewDisconnectedContext(c.ctx) // to the end, if the workflow is cancelled
	ctx = sdkworkflow.WithLocalActivityOptions(ctx, sdkworkflow.LocalActivityOptions{
		StartToCloseTimeout:    advanceTimeout,
		ScheduleToCloseTimeout: forEver,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, MaximumInterval: 5 * time.Second},
	})
	var at step
	if err := sdkworkflow.ExecuteLocalActivity(ctx, advanceActivity, c.ticket.Run, i).Get(ctx, &at); err != nil {
		at = broken(c.at, err)
	}
	c.take(at)
}

// broken is the step of a run that cannot go on. Errors of the store are tried
// again for ever; this is something else, such as a run that was deleted.
func broken(at step, err error) step {
	return step{Through: at.Through, Status: events.RunFailed, Error: err.Error()}
}

// take moves on to a step, unless a later one is known already, and ends what
// the log does not wait for any more.
func (c *conductor) take(at step) {
	if at.Through < c.at.Through {
		return
	}
	c.at = at
	c.running = slices.DeleteFunc(c.running, func(x execution) bool {
		gone := !slices.Contains(at.Work, x.work)
		if gone {
			x.cancel()
		}
		return gone
	})
}

// begin starts what the log waits for and nobody has begun, and sets the timer.
func (c *conductor) begin() {
	for _, w := range c.at.Work {
		if !c.full && !slices.ContainsFunc(c.running, func(x execution) bool { return x.work == w }) {
			c.running = append(c.running, c.execute(w))
		}
	}
	if c.at.Alarm.Equal(c.until) {
		return
	}
	if c.alarm.cancel != nil {
		c.alarm.cancel()
	}
	c.alarm, c.until = execution{}, c.at.Alarm
	if !c.until.IsZero() {
		ctx, cancel := sdkworkflow.WithCancel(c.ctx)
		c.alarm = execution{done: sdkworkflow.NewTimer(ctx, max(c.until.Sub(sdkworkflow.Now(ctx)), 0)), cancel: cancel}
	}
}

// execute begins a node. It is tried again, on another server if need be, until
// the log has its result: how the node itself fails is such a result.
func (c *conductor) execute(w interpreter.Work) execution {
	ctx, cancel := sdkworkflow.WithCancel(c.ctx)
	ctx = sdkworkflow.WithActivityOptions(ctx, sdkworkflow.ActivityOptions{
		StartToCloseTimeout: forEver,
		HeartbeatTimeout:    c.engine.opts.Heartbeat,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, MaximumInterval: 5 * time.Second},
		Summary:             w.Node,
		Priority:            c.ticket.priority(),
	})
	return execution{work: w, done: sdkworkflow.ExecuteActivity(ctx, executeActivity, c.ticket.Run, w), cancel: cancel}
}

// wait waits until something has happened, and takes it.
func (c *conductor) wait() {
	s := sdkworkflow.NewSelector(c.ctx)
	for _, x := range c.running {
		s.AddFuture(x.done, func(f sdkworkflow.Future) { c.ended(x, f) })
	}
	if due := c.until; c.alarm.done != nil {
		s.AddFuture(c.alarm.done, func(sdkworkflow.Future) {
			c.alarm, c.until = execution{}, time.Time{}
			if c.ctx.Err() == nil {
				c.advance(impulse{Due: due})
			}
		})
	}
	s.AddReceive(sdkworkflow.GetSignalChannel(c.ctx, orderSignal), func(ch sdkworkflow.ReceiveChannel, _ bool) {
		var o interpreter.Order
		ch.Receive(c.ctx, &o)
		c.orders = append(c.orders, o)
	})
	s.AddReceive(sdkworkflow.GetSignalChannel(c.ctx, pokeSignal), func(ch sdkworkflow.ReceiveChannel, _ bool) {
		ch.Receive(c.ctx, nil)
		c.poked = true
	})
	s.AddReceive(c.ctx.Done(), func(sdkworkflow.ReceiveChannel, bool) {}) // which obey sees
	s.Select(c.ctx)
}

// ended takes the step that a node has led to.
func (c *conductor) ended(x execution, f sdkworkflow.Future) {
	c.running = slices.DeleteFunc(c.running, func(r execution) bool { return r.work == x.work })
	var at step
	switch err := f.Get(c.ctx, &at); {
	case err == nil:
		c.take(at)
	case c.ctx.Err() != nil: // obey says what that means
	default:
		c.take(broken(c.at, err))
	}
}

// outcome is how the workflow ends, as those who look at Temporal see it.
func (c *conductor) outcome() error {
	switch c.at.Status {
	case events.RunFailed:
		return temporal.NewNonRetryableApplicationError(c.at.Error, string(c.at.Status), nil)
	case events.RunCancelled:
		return temporal.NewCanceledError()
	}
	return nil
}
