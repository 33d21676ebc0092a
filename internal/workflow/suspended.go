package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// arm sets the timers of suspended nodes. The mutex is held.
func (x *execution) arm() {
	if x.over() {
		return
	}
	for _, n := range x.machine.suspendedNodes() {
		if n.suspended.Until == nil || x.timers[n.ID] != nil {
			continue
		}
		id := n.ID
		x.timers[id] = time.AfterFunc(n.suspended.Until.Sub(x.svc.opts.Now()), func() { x.wake(id) })
	}
}

// wake goes on with a node whose time has come.
func (x *execution) wake(nodeID string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := x.machine.nodes[nodeID]
	if x.over() || n.status != nodeSuspended {
		return
	}
	delete(x.timers, nodeID)
	var e Entry
	var err error
	if n.suspended.Config != nil {
		e, err = newEntry(NodeFailed, nodeID, x.failure(n.Node, nodes.Result{}, errors.New("the input did not come in time")))
	} else {
		e, err = newEntry(NodeCompleted, nodeID, completion{n.suspended.Output, n.outputVariable(), defaultHandle})
	}
	if err == nil {
		err = x.commit(e)
	}
	if err == nil {
		x.arm()
	}
}

// An Input is what somebody gives a run.
type Input struct {
	// RequestID names the request that it answers; "" is the oldest.
	RequestID string
	Data      any
	// Field is what the sender calls the data; errors name it.
	Field string
}

// mismatch is the error of an input that does not match its form.
func (in Input) mismatch(e *nodes.InputError) error {
	path := in.Field
	if e.Field != "payload" {
		path += "." + e.Field
	}
	return events.FieldErrorf(path, "%s", strings.TrimPrefix(e.Message, e.Field+": "))
}

// RunOfRequest returns the run of a tenant that made a request for input and
// waits, if the user may answer it.
func (s *Service) RunOfRequest(ctx context.Context, id *auth.Identity, tenant, requestID string) (Run, error) {
	notFound := events.Errorf(events.CodeNotFound, "the request %s does not exist, or was answered, or has expired", requestID)
	if !id.Can(auth.AnswerRuns, tenant) {
		return Run{}, notFound
	}
	s.mu.Lock()
	live := slices.Collect(maps.Values(s.live))
	s.mu.Unlock()
	for _, x := range live {
		if x.run.Tenant != tenant {
			continue
		}
		x.mu.Lock()
		_, err := x.awaiting(requestID)
		x.mu.Unlock()
		if err == nil {
			return x.run, nil
		}
	}
	return Run{}, notFound
}

// Submit gives a run the input that it waits for. The caller has asked
// whether the user may.
func (s *Service) Submit(ctx context.Context, run Run, in Input) error {
	x := s.find(run.ID)
	if x == nil {
		return s.notRunning(ctx, run)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.submit(in)
}

// notRunning says why a run takes no input.
func (s *Service) notRunning(ctx context.Context, run Run) error {
	if now, err := s.opts.Store.Run(ctx, run.ID); err == nil {
		run = now
	}
	return events.Errorf(events.CodeConflict, "run %s is %s and takes no input", run.ID, run.Status)
}

// submit completes the node that made a request, after entries that tell how
// the input came.
func (x *execution) submit(in Input, before ...Entry) error {
	n, err := x.awaiting(in.RequestID)
	if err != nil {
		return err
	}
	var schema any
	json.Unmarshal(n.suspended.Config.FormSchema, &schema) // nil without a schema
	err = nodes.CheckInput(schema, in.Data)
	var mismatch *nodes.InputError
	if errors.As(err, &mismatch) {
		return in.mismatch(mismatch)
	}
	if err != nil {
		return fmt.Errorf("checking input: %w", err)
	}
	e, err := newEntry(NodeCompleted, n.ID, completion{in.Data, n.suspended.Config.OutputVariable, defaultHandle})
	if err != nil {
		return err
	}
	if t := x.timers[n.ID]; t != nil {
		t.Stop()
		delete(x.timers, n.ID)
	}
	if err := x.commit(append(before, e)...); err != nil {
		return err
	}
	x.arm()
	return nil
}

// awaiting returns the node that made a request.
func (x *execution) awaiting(requestID string) (*nodeState, error) {
	if x.over() {
		return nil, events.Errorf(events.CodeConflict, "run %s is over and takes no input", x.run.ID)
	}
	for _, n := range x.machine.suspendedNodes() {
		if n.suspended.Config != nil && (requestID == "" || n.suspended.RequestID == requestID) {
			return n, nil
		}
	}
	if requestID == "" {
		return nil, events.Errorf(events.CodeConflict, "run %s does not wait for an input", x.run.ID)
	}
	return nil, events.Errorf(events.CodeNotFound, "the request %s does not exist, or was answered, or has expired", requestID)
}

// InputKey is the name of the part of a widget's input that tells it apart from
// others: of two with the same key the second does nothing.
const InputKey = "inputKey"

// WidgetInput makes what a person did in a widget readable by later nodes as
// __widgetInput. A form also answers the oldest request of the run, if there
// is one. The caller has asked whether the user may.
func (s *Service) WidgetInput(ctx context.Context, run Run, value map[string]any, form bool) error {
	x := s.find(run.ID)
	if x == nil {
		return s.notRunning(ctx, run)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over() {
		return s.notRunning(ctx, run)
	}
	if key, _ := value[InputKey].(string); x.machine.inputs[key] {
		return nil
	}
	set, err := newEntry(SystemSet, "", assignment{"__widgetInput", value})
	if err != nil {
		return err
	}
	if form {
		if _, err := x.awaiting(""); err == nil {
			return x.submit(Input{Data: value["data"], Field: "data"}, set)
		}
	}
	return x.commit(set)
}

// Stop ends a run. Stopping what is over is an error; the caller has asked
// whether the user may.
func (s *Service) Stop(ctx context.Context, run Run) error {
	x := s.find(run.ID)
	if x == nil {
		return s.notRunning(ctx, run)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over() {
		return s.notRunning(ctx, run)
	}
	e, err := newEntry(RunEnded, "", ending{Status: events.RunStopped, Error: "stopped"})
	if err != nil {
		return err
	}
	return x.commit(e)
}

// Resume takes up the runs of an earlier process: those that were waiting go
// on waiting; those that were in the middle of a node end as interrupted,
// because nobody knows how far the node had got.
func (s *Service) Resume(ctx context.Context) error {
	runs, err := s.opts.Store.UnfinishedRuns(ctx)
	if err != nil {
		return fmt.Errorf("reading unfinished runs: %w", err)
	}
	for _, r := range runs {
		if err := s.resume(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) resume(ctx context.Context, r Run) error {
	x, err := s.begin(r)
	if x == nil {
		return err
	}
	defer x.mu.Unlock()
	if err := x.load(ctx); err != nil {
		return err
	}
	if x.over() {
		x.withdraw()
		return nil
	}
	if !x.machine.running() && len(x.machine.suspendedNodes()) > 0 {
		x.arm()
		return nil
	}
	e, err := newEntry(RunEnded, "", ending{Status: events.RunFailed, Error: "interrupted"})
	if err != nil {
		return err
	}
	return x.commit(e)
}

// Wait returns when a run is over in this process, or ctx ends.
func (s *Service) Wait(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, func(*execution) bool { return false })
}

// Settle returns when a run is over, or waits for nothing but people, or ctx
// ends.
func (s *Service) Settle(ctx context.Context, runID string) error {
	return s.waitFor(ctx, runID, func(x *execution) bool {
		waiting := x.machine.suspendedNodes()
		for _, n := range waiting {
			if n.suspended.Config == nil {
				return false // a delay
			}
		}
		return len(waiting) > 0 && !x.machine.running()
	})
}

// waitFor returns when a run is over or a condition holds.
func (s *Service) waitFor(ctx context.Context, runID string, cond func(*execution) bool) error {
	x := s.find(runID)
	if x == nil {
		return nil
	}
	for {
		x.mu.Lock()
		changed, done := x.changed, x.over() || cond(x)
		x.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close lets nothing new begin, stops the nodes that are running, and waits
// for them until ctx ends. What is not over is taken up by Resume.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	live := make([]*execution, 0, len(s.live))
	for _, x := range s.live {
		live = append(live, x)
	}
	s.mu.Unlock()
	for _, x := range live {
		x.cancel()
		x.mu.Lock()
		for _, t := range x.timers {
			t.Stop()
		}
		x.tell()
		x.mu.Unlock()
	}
	done := make(chan struct{})
	go func() {
		s.working.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
