package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/batch"
	"github.com/roomcast/roomcast/internal/fair"
	"github.com/roomcast/roomcast/internal/waitgroup"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// Options configure an [Engine].
type Options struct {
	Store  workflow.Store
	Feed   *workflow.Feed
	Types  nodes.Types
	Logger *slog.Logger
	// Parallel bounds how many nodes run at once, and ParallelPerTenant how
	// many of one tenant. Default 64 and 16.
	Parallel, ParallelPerTenant int
	// RunsPerTenant bounds how many runs of one tenant go on in this process;
	// nodes may start runs up to twice as many. 0 is no bound.
	RunsPerTenant int
	// Limits are what a run may take.
	Limits workflow.Limits
	// Owner returns the id under which this instance owns runs now, "" if it
	// must not own any. nil is for a store that no other instance uses.
	Owner func() string
	// Peers reach other instances, for runs that go on there; nil if there are
	// none.
	Peers Peers
	// Resumed is called with each run that has been taken up here and goes on,
	// and the offset that it has reached: whoever published that may not have
	// had the time to. It must not block.
	Resumed func(run workflow.Run, through uint64)
	// Now is the clock, for tests.
	Now func() time.Time
}

// An Engine carries runs on in this process. Its methods may be called
// concurrently.
type Engine struct {
	opts  Options
	slots *fair.Slots // of nodes that do something
	// computing are the slots of those that only compute, which would otherwise
	// wait for requests of others to be answered.
	computing *fair.Slots
	journal   *batch.Writer[workflow.Write] // of the logs of all runs
	working   sync.WaitGroup                // goroutines of nodes and children

	mu      sync.Mutex
	live    map[string]*execution
	tenants map[string]int  // how many of live are of a tenant
	broken  map[string]bool // runs that were live until the store failed
	closing bool
	ended   map[events.RunStatus]int64
	repeats int64 // nodes that were begun again
}

var _ workflow.Engine = (*Engine)(nil)

// New returns an Engine. Nothing runs before [Engine.Resume] or [Engine.Start].
func New(opts Options) *Engine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Parallel <= 0 {
		opts.Parallel = 64
	}
	if opts.ParallelPerTenant <= 0 {
		opts.ParallelPerTenant = 16
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Owner == nil {
		alone := uuid.NewString()
		opts.Owner = func() string { return alone }
	}
	if opts.Resumed == nil {
		opts.Resumed = func(workflow.Run, uint64) {}
	}
	processors := runtime.GOMAXPROCS(0)
	return &Engine{
		opts: opts, slots: fair.New(opts.Parallel, opts.ParallelPerTenant), computing: fair.New(2*processors, processors), journal: newJournal(opts.Store),
		live: map[string]*execution{}, tenants: map[string]int{}, broken: map[string]bool{},
		ended: map[events.RunStatus]int64{},
	}
}

// maxBatch bounds how many writes go into one transaction: the store is not
// free for others meanwhile.
const maxBatch = 256

// newJournal returns what writes to the store what many runs have to write,
// together. Each run has one write in line at most.
func newJournal(store workflow.Store) *batch.Writer[workflow.Write] {
	return batch.New(batch.Options[workflow.Write]{
		Write: func(all []workflow.Write) ([]error, error) { return store.Write(context.Background(), all) },
		Again: func(w workflow.Write) workflow.Write {
			w.Repeated = w.Create == nil // nobody knows whether the transaction was committed
			return w
		},
		Max: maxBatch,
	})
}

// Name implements [workflow.Engine].
func (e *Engine) Name() workflow.EngineName { return workflow.Embedded }

func (e *Engine) now() time.Time { return e.opts.Now().UTC() }

// admit gives a new run its owner, if one more may go on here.
func (e *Engine) admit(r *workflow.Run) error {
	if r.Owner = e.opts.Owner(); r.Owner == "" {
		return errApart
	}
	limit := e.opts.RunsPerTenant
	if r.Parent != "" {
		limit *= 2 // those that wait for it are to get done
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closing:
		return errClosing
	case limit > 0 && e.tenants[r.Tenant] >= limit:
		err := events.Errorf(events.CodeTooManyRuns, "%d runs of this tenant go on already: wait for some to end", limit)
		err.RetryAfter = 1
		return err
	}
	return nil
}

// Execute implements [workflow.Engine].
func (e *Engine) Execute(ctx context.Context, r workflow.Run, input interpreter.Entry) error {
	if err := e.admit(&r); err != nil {
		return err
	}
	x, err := e.begin(r)
	if x == nil {
		return err // nil if it goes on already
	}
	err = x.first(input)
	if !errors.Is(err, workflow.ErrExists) {
		return err
	}
	made, err := e.opts.Store.Run(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("reading run: %w", err)
	}
	return e.Start(ctx, made)
}

// Start implements [workflow.Engine].
func (e *Engine) Start(ctx context.Context, r workflow.Run) error {
	if r.Owner == "" { // as it was before it was executed here; if not here, the store knows better
		r.Owner = e.opts.Owner()
	}
	if r.Status.Terminal() || r.Owner != e.opts.Owner() {
		return nil // it was started where it was made, or whoever takes it over goes on with it
	}
	return e.resume(ctx, r) // it may have begun, and go on nowhere: whoever took it over met the attempt to create it
}

// begin makes a run live and locks it, before its log is read: of two that
// begin the same run one gets nil.
func (e *Engine) begin(r workflow.Run) (*execution, error) {
	owner := e.opts.Owner()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closing:
		return nil, errClosing
	case owner == "" || r.Owner != owner:
		return nil, errApart
	case e.live[r.ID] != nil:
		return nil, nil
	}
	x := newExecution(e, r)
	x.mu.Lock()
	e.live[r.ID] = x
	e.tenants[r.Tenant]++
	return x, nil
}

// find returns a run that goes on here, nil if it does not.
func (e *Engine) find(runID string) *execution {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.live[runID]
}

// forget takes a run out of those that go on here.
func (e *Engine) forget(x *execution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.live[x.run.ID] == x { // and not what came after it
		delete(e.live, x.run.ID)
		if e.tenants[x.run.Tenant]--; e.tenants[x.run.Tenant] == 0 {
			delete(e.tenants, x.run.Tenant)
		}
	}
}

// errApart is the answer to who asks for what has to be owned, while this
// instance must not own anything.
var errApart = events.Errorf(events.CodeConflict, "the server has been away from its database: try again in a moment")

var errClosing = events.Errorf(events.CodeConflict, "the server is shutting down: try again in a moment")

// grace is how much of the time that is left when it closes an engine leaves to
// nodes that are running.
const grace = 0.5

// Close lets nothing new begin, gives the nodes that are running half of the
// time until ctx ends to get done, stops the others, and waits for them. What
// is not over is released, for another instance or the next process to take up.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closing = true
	live := slices.Collect(maps.Values(e.live))
	e.mu.Unlock()
	for _, x := range live {
		x.pause()
	}
	e.waitForNodes(ctx)
	for _, x := range live {
		x.cancel()
	}
	if err := waitgroup.Wait(ctx, &e.working); err != nil {
		return err
	}
	e.journal.Wait()
	if owner := e.opts.Owner(); owner != "" {
		if err := e.opts.Store.ReleaseRuns(ctx, owner); err != nil {
			return fmt.Errorf("releasing runs: %w", err)
		}
	}
	return nil
}

// waitForNodes waits for nodes that are running, not too long.
func (e *Engine) waitForNodes(ctx context.Context) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(grace*float64(time.Until(end))))
		defer cancel()
	}
	waitgroup.Wait(ctx, &e.working)
}
