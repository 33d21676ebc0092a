package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// Peers reach other instances.
type Peers interface {
	// Call asks an instance to do something and returns its answer. Its errors
	// arrive as they are if they are an *events.Error. Other errors tell that
	// there was no answer: whether it was done is not known.
	Call(ctx context.Context, instance, method string, payload []byte) ([]byte, error)
}

// Method is the name under which peers must hand what they are asked to
// [Engine.Serve].
const Method = "workflow.order"

// How long one instance may take for an order before the sender looks again
// who has the run, and how long it looks. That is longer than an instance that
// is gone is waited for, as it comes.
const (
	patience = 3 * time.Second
	limit    = 20 * time.Second
)

// Deliver implements [workflow.Engine]: it has an order carried out where the
// run goes on: here, or in the instance that owns it, or here after taking over
// from one that is gone. The order is carried out once, however often it has to
// be sent.
func (e *Engine) Deliver(ctx context.Context, run workflow.Run, o interpreter.Order) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	o.RunID = run.ID
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		done, err := e.attempt(ctx, run, &o)
		if done {
			return err
		}
		if err != nil {
			e.opts.Logger.Warn("order for a run did not reach it", "run", run.ID, "error", err)
		}
		select {
		case <-ctx.Done():
			return events.Errorf(events.CodeTimeout, "the instance in which run %s goes on does not answer: look at the run, and try again in a moment", run.ID)
		case <-time.After(pause):
		}
	}
}

// attempt tries once. If it is not done, another look may find the run
// elsewhere.
func (e *Engine) attempt(ctx context.Context, run workflow.Run, o *interpreter.Order) (done bool, err error) {
	if x := e.find(run.ID); x != nil {
		return x.take(*o)
	}
	now, err := e.opts.Store.Run(ctx, run.ID)
	if err != nil {
		return true, fmt.Errorf("reading run: %w", err)
	}
	owner := e.opts.Owner()
	switch {
	case now.Status.Terminal():
		return true, e.afterTheEnd(ctx, now, o)
	case owner == "":
		return true, errApart
	case now.Owner == owner && now.Status != events.RunPending:
		return false, e.resume(ctx, now) // it was given up when the store failed
	}
	taken := false
	if now.Owner != owner {
		taken, err = e.opts.Store.TakeRun(ctx, now.ID, now.Owner, owner)
	}
	if err != nil {
		return true, fmt.Errorf("taking over run: %w", err)
	}
	if taken {
		now.Owner = owner
		return false, e.resume(ctx, now)
	}
	pending := now.Status == events.RunPending // it has not been started, or waits for its turn
	switch {
	case pending && (now.Owner == owner || e.opts.Peers == nil):
		return true, notRunning(now)
	case now.Owner == "" || e.opts.Peers == nil:
		return false, nil // somebody else was faster
	}
	done, err = e.send(ctx, now.Owner, o)
	if pending && !done && err == nil {
		return true, notRunning(now)
	}
	return done, err
}

// afterTheEnd is what becomes of an order for a run that is over: it may be
// what ended it, and only the answer was missing.
func (e *Engine) afterTheEnd(ctx context.Context, run workflow.Run, o *interpreter.Order) error {
	if o.ID == "" {
		return notRunning(run)
	}
	log, err := e.opts.Store.Log(ctx, run.ID, 0)
	if err != nil {
		return fmt.Errorf("reading log: %w", err)
	}
	if run.Replay(log).Taken(o.ID) {
		return nil
	}
	return notRunning(run)
}

// notRunning says why a run takes no input.
func notRunning(run workflow.Run) error {
	return events.Errorf(events.CodeConflict, "run %s is %s and takes no input", run.ID, run.Status)
}

// take carries out an order if the run still goes on here.
func (x *execution) take(o interpreter.Order) (done bool, err error) {
	if o.Ends() {
		x.cancel() // what is running ends now, and not when the mutex is free
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.broken:
		return false, nil
	case x.paused:
		return true, errClosing
	}
	if err := x.m.Order(o, x.eng.now()); err != nil {
		return true, err
	}
	delete(x.children, o.Child) // it needs no end
	err = x.commit()
	return !errors.Is(err, workflow.ErrLost), err
}

// answer is what an instance says to an order. Its own errors come otherwise.
type answer struct {
	// Elsewhere tells that the run does not go on there.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// send has an order carried out by another instance.
func (e *Engine) send(ctx context.Context, instance string, o *interpreter.Order) (done bool, err error) {
	if o.ID == "" {
		o.ID = uuid.NewString()
	}
	payload, err := json.Marshal(o)
	if err != nil {
		return true, fmt.Errorf("encoding order: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	raw, err := e.opts.Peers.Call(ctx, instance, Method, payload)
	var public *events.Error
	if errors.As(err, &public) {
		return true, err
	}
	if err != nil {
		return false, err
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return true, fmt.Errorf("answer of instance %s: %w", instance, err)
	}
	return !a.Elsewhere, nil
}

// Serve carries out what another instance has sent.
func (e *Engine) Serve(_ context.Context, payload []byte) ([]byte, error) {
	var o interpreter.Order
	if err := json.Unmarshal(payload, &o); err != nil {
		return nil, fmt.Errorf("decoding order: %w", err)
	}
	var a answer
	x := e.find(o.RunID)
	if x == nil {
		a.Elsewhere = true // or over: who asks looks again
	} else {
		done, err := x.take(o)
		if done && err != nil {
			return nil, err
		}
		a.Elsewhere = !done
	}
	return json.Marshal(a)
}
