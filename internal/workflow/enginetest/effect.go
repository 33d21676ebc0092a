package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A world is what nodes touch, in all lives of an engine. Its node types:
//
//	effect  {value, failures, size, hold}: is done, and counted; its output is
//	        {value, attempts, key}. It fails that many times; it has an output
//	        of size bytes; with hold it ends when the world releases it, or with
//	        its context
//	ask     {ms, approval}: waits for input, which expires after ms
type world struct {
	store workflow.Store

	mu       sync.Mutex
	done     map[string]int // calls by key
	within   int            // calls that are going on
	most     int            // of within
	repeated int            // calls of what was called in a life before
	callers  map[string]*life
	faults   []string
	calls    []call
	began    chan struct{}
	released map[string]chan struct{} // by run, for hold
}

func newWorld(store workflow.Store) *world {
	return &world{
		store: store, done: map[string]int{}, callers: map[string]*life{}, began: make(chan struct{}),
		released: map[string]chan struct{}{},
	}
}

// A call is that of an effect.
type call struct{ tenant, run string }

// types returns the node types of one life, with those that every server has.
func (w *world) types(l *life) nodes.Types {
	types := nodes.All(nodes.Options{AllowPrivate: true, Data: outside{}, Assistant: outside{}})
	types["effect"], types["ask"] = effect{w, l}, ask{}
	return types
}

// enter notes that a node begins. It must not have an end that is stored.
func (w *world) enter(ctx context.Context, l *life, c nodes.Call) (attempt int) {
	if ended, err := endedWith(ctx, w.store, c); err != nil || ended {
		w.fault("node %s of run %s, %s, runs although it has ended (%v)", c.NodeID, c.RunID, c.Key, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[c.Key]++
	if before := w.callers[c.Key]; before != nil && before != l {
		w.repeated++
	}
	w.callers[c.Key] = l
	w.within++
	w.most = max(w.most, w.within)
	w.calls = append(w.calls, call{c.Tenant, c.RunID})
	close(w.began)
	w.began = make(chan struct{})
	return w.done[c.Key]
}

func (w *world) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.within--
}

// endedWith reports whether the log says that this execution of a node ended.
func endedWith(ctx context.Context, store workflow.Store, c nodes.Call) (bool, error) {
	log, err := store.Log(context.WithoutCancel(ctx), c.RunID, 0)
	if err != nil {
		return false, err
	}
	for _, e := range log {
		if e.Node != c.NodeID || e.Type != interpreter.NodeCompleted {
			continue
		}
		out, _ := interpreter.Value(interpreter.Decode[interpreter.Completion](e).Output).(map[string]any)
		if out["key"] == c.Key {
			return true, nil
		}
	}
	return false, nil
}

func (w *world) fault(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// hold returns what is closed when held nodes of a run may end.
func (w *world) hold(runID string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.released[runID] == nil {
		w.released[runID] = make(chan struct{})
	}
	return w.released[runID]
}

// release lets the held nodes of a run end, those that come too.
func (w *world) release(runID string) { close(w.hold(runID)) }

// next returns what is closed when another call begins, and those that have.
func (w *world) next() (<-chan struct{}, []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.began, slices.Clone(w.calls)
}

type effect struct {
	world *world
	life  *life
}

func (effect) Check(nodes.Data) []nodes.Problem { return nil }
func (effect) Handles(nodes.Data) []string      { return []string{"output"} }
func (effect) Pure() bool                       { return false }

func (e effect) Run(ctx context.Context, c nodes.Call) (nodes.Result, error) {
	if e.life.dead() {
		return nodes.Result{}, errDead
	}
	attempt := e.world.enter(ctx, e.life, c)
	defer e.world.leave()
	if c.Data["hold"] == true {
		if err := e.wait(ctx, c.RunID); err != nil {
			return nodes.Result{}, err
		}
	}
	if n, _ := c.Data.Number("failures"); attempt <= int(n) {
		return nodes.Result{Output: map[string]any{"attempt": attempt}}, fmt.Errorf("attempt %d fails", attempt)
	}
	out := map[string]any{"value": c.Data["value"], "attempts": attempt, "key": c.Key}
	if n, ok := c.Data.Number("size"); ok {
		out["fill"] = strings.Repeat("x", int(n))
	}
	return nodes.Result{Output: out}, nil
}

func (e effect) wait(ctx context.Context, runID string) error {
	select {
	case <-e.world.hold(runID):
		return nil
	case <-e.life.ended:
		return errDead
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}

type ask struct{}

func (ask) Check(nodes.Data) []nodes.Problem { return nil }
func (ask) Handles(nodes.Data) []string {
	return []string{"output", nodes.Approve, nodes.Reject, nodes.Expired}
}
func (ask) Pure() bool { return true }

func (ask) Run(_ context.Context, c nodes.Call) (nodes.Result, error) {
	ms, _ := c.Data.Number("ms")
	return nodes.Result{Suspend: &nodes.Suspension{
		Until: c.Now.Add(time.Duration(ms) * time.Millisecond), Approval: c.Data["approval"] == true,
		Input: &nodes.Input{Type: "form", OutputVariable: "answer"},
	}}, nil
}
