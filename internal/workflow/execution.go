package workflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/expression"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// An execution is a run that goes on in this process.
type execution struct {
	svc    *Service
	run    Run
	ctx    context.Context // of its nodes; ends with the run
	cancel context.CancelFunc
	log    *slog.Logger

	mu      sync.Mutex // held while entries are appended and published
	machine *machine
	timers  map[string]*time.Timer // of suspended nodes
	broken  bool                   // the store has failed, or has another owner; nothing goes on here
	changed chan struct{}          // closed, and made anew, with every commit
}

// commit appends entries, and what follows from them: the dispatch of nodes
// that became ready and the end of the run. Then it publishes what clients
// see and starts the nodes. The mutex is held, and the run is not over.
func (x *execution) commit(entries ...Entry) error {
	var all []Entry
	var updates []Update
	var end *End
	add := func(e Entry) {
		e.Seq, e.At = x.machine.seq+1, x.svc.opts.Now().UTC()
		x.machine.apply(e)
		all = append(all, e)
		if ended := x.machine.ended; ended != nil && end == nil {
			end = &End{Status: ended.Status, Error: ended.Error, At: e.At}
		}
		if u, visible := update(x.run, x.machine, e); visible {
			if u.Context == nil {
				u.Context = encode(x.machine.context())
			}
			updates = append(updates, u)
		}
	}
	for _, e := range entries {
		add(e)
	}
	dispatched := x.machine.ready()
	for _, id := range dispatched {
		add(Entry{Type: NodeDispatched, Node: id})
	}
	if outcome := x.machine.outcome(); outcome != nil && x.machine.ended == nil {
		e, err := newEntry(RunEnded, "", outcome)
		if err != nil {
			x.fail(err)
			return err
		}
		add(e)
	}
	if err := x.svc.opts.Store.Append(context.Background(), x.run.ID, x.run.Owner, all, end); err != nil {
		x.fail(err)
		return fmt.Errorf("appending to run: %w", err)
	}
	x.publish(updates)
	if end != nil {
		x.finish()
		return nil
	}
	x.tell()
	for _, id := range dispatched {
		x.dispatch(x.machine.nodes[id].Node)
	}
	return nil
}

// fail gives up on a run whose log cannot be written: what cannot be
// remembered must not happen. If it still is this instance's, [Service.Resume]
// takes it up again.
func (x *execution) fail(err error) {
	x.broken = true
	if errors.Is(err, ErrLost) {
		x.log.Warn("run goes on elsewhere", "reason", err)
	} else {
		x.log.Error("run cannot go on", "error", err)
		x.svc.mu.Lock()
		x.svc.broken[x.run.ID] = true
		x.svc.mu.Unlock()
	}
	x.finish()
}

func (x *execution) publish(updates []Update) {
	for _, u := range updates {
		if err := x.svc.opts.Publisher.Publish(events.RunRoom(x.run.ID), u.Position(), u.Payload); err != nil {
			x.log.Error("run update was not published", "error", err)
		}
		for _, fn := range x.svc.observers {
			fn(u)
		}
	}
}

// finish takes the run out of the process.
func (x *execution) finish() {
	for _, t := range x.timers {
		t.Stop()
	}
	x.withdraw()
	if end := x.machine.ended; end != nil && !x.broken {
		log := x.log.With("status", string(end.Status), "title", x.run.Title)
		if end.Status == events.RunFailed {
			log.Warn("run finished", "reason", end.Error)
		} else {
			log.Info("run finished")
		}
	}
}

// tell wakes who waits for a change. The mutex is held.
func (x *execution) tell() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// over reports whether nothing may happen in the run any more.
func (x *execution) over() bool { return x.broken || x.machine.ended != nil || x.ctx.Err() != nil }

// dispatch runs a node on a goroutine of its own.
func (x *execution) dispatch(n Node) {
	call := nodes.Call{RunID: x.run.ID, NodeID: n.ID, Source: n.Data, Vars: maps.Clone(x.machine.vars)}
	x.svc.working.Go(func() {
		select {
		case x.svc.slots <- struct{}{}:
		case <-x.ctx.Done():
			return
		}
		entry, err := x.execute(n, call)
		<-x.svc.slots
		if err != nil {
			x.log.Error("node result could not be stored", "node", n.ID, "error", err)
			entry, _ = newEntry(NodeFailed, n.ID, failure{Error: "its result cannot be stored"})
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.over() {
			return
		}
		if x.commit(entry) == nil {
			x.arm()
		}
	})
}

// The ways to handle the error of a node.
const (
	failWorkflow      = "fail_workflow"       // the run fails, unless the node has an error edge
	continueRun       = "continue"            // go on without an output
	continueDefault   = "continue_default"    // go on with data.defaultValue
	retryThenFail     = "retry_then_fail"     // try three times
	retryThenContinue = "retry_then_continue" // try three times
)

// retryAfter is how long to wait before each further attempt.
var retryAfter = []time.Duration{time.Second, 2 * time.Second}

// execute runs a node, again if its settings say so, and returns the entry
// that tells how it went.
func (x *execution) execute(n Node, call nodes.Call) (Entry, error) {
	handling := n.Data.String("errorHandling")
	result, err := x.attempt(n, call)
	if handling == retryThenFail || handling == retryThenContinue {
		for _, wait := range retryAfter {
			if err == nil || !x.sleep(wait) {
				break
			}
			result, err = x.attempt(n, call)
		}
	}
	if err != nil {
		return newEntry(NodeFailed, n.ID, x.failure(n, result, err))
	}
	if s := result.Suspend; s != nil {
		suspended := suspend(s, result.Output)
		e, err := newEntry(NodeSuspended, n.ID, suspended)
		e.Request = suspended.RequestID
		return e, err
	}
	return newEntry(NodeCompleted, n.ID, completion{Output: result.Output, Variable: n.outputVariable(), Handle: handleOf(result)})
}

func handleOf(r nodes.Result) string {
	if r.Handle == "" {
		return defaultHandle
	}
	return r.Handle
}

// sleep waits, and reports whether the run still goes on.
func (x *execution) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-x.ctx.Done():
		return false
	}
}

// attempt runs a node once. A panic is the node's failure, not the server's.
func (x *execution) attempt(n Node, call nodes.Call) (result nodes.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.log.Error("node panicked", "node", n.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal error")
		}
	}()
	if call.Data, err = resolve(x.ctx, n, call.Vars); err != nil {
		return nodes.Result{}, err
	}
	call.Now = x.svc.opts.Now()
	return x.svc.types[n.Type].Run(x.ctx, call)
}

// unresolved are the settings that are evaluated by the node itself.
var unresolved = map[string]bool{"expression": true, "branches": true, "formSchema": true, "formUischema": true, "outputParameters": true, "delayVariable": true}

// resolve fills in the templates of a node's settings.
func resolve(ctx context.Context, n Node, vars map[string]any) (nodes.Data, error) {
	resolved := make(nodes.Data, len(n.Data))
	for k, v := range n.Data {
		if !unresolved[k] {
			filled, err := expression.Resolve(ctx, v, vars)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			v = filled
		}
		resolved[k] = v
	}
	return resolved, nil
}

// failure decides what the error of a node leads to.
func (x *execution) failure(n Node, result nodes.Result, err error) failure {
	f := failure{Error: err.Error(), Output: result.Output, Variable: n.outputVariable()}
	switch n.Data.String("errorHandling") {
	case continueRun, retryThenContinue:
		f.Handle = defaultHandle
	case continueDefault:
		f.Handle, f.Output = defaultHandle, n.Data["defaultValue"]
	default:
		for _, e := range x.run.Definition.Edges {
			if e.Source == n.ID && e.handle() == "error" {
				f.Handle = "error"
			}
		}
	}
	return f
}

// suspend describes what a node waits for.
func suspend(s *nodes.Suspension, output any) suspension {
	out := suspension{Output: output}
	if !s.Until.IsZero() {
		until := s.Until.UTC()
		out.Until = &until
	}
	if in := s.Input; in != nil {
		out.RequestID = uuid.NewString()
		out.Config = &events.CollectionConfig{
			CollectionType: in.Type, Title: in.Title, Description: in.Description,
			OutputVariable: in.OutputVariable, ExpiryMinutes: in.ExpiryMinutes,
		}
		if in.FormSchema != nil {
			out.Config.FormSchema = encode(in.FormSchema)
		}
		if in.FormUISchema != nil {
			out.Config.FormUISchema = encode(in.FormUISchema)
		}
	}
	return out
}
