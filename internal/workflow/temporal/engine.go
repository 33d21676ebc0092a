//go:build temporal

package temporal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	sdkworkflow "go.temporal.io/sdk/workflow"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// Options configure an [Engine].
type Options struct {
	Server Server
	Store  workflow.Store
	Feed   *workflow.Feed
	Types  nodes.Types
	Logger *slog.Logger
	// Parallel bounds how many nodes run here at once. Default 64.
	Parallel int
	// Limits are what a run may take.
	Limits workflow.Limits
	// Heartbeat is how long nothing may be heard of a node that runs before it
	// is given to another server. Default 10 s.
	Heartbeat time.Duration
	// MaxHistory is how many events the history of a workflow may have in
	// Temporal before it is cut. Default 5,000.
	MaxHistory int
	// Resumed is called with each run that is taken up here after it has begun,
	// and the offset that it has reached: whoever published that may not have
	// had the time to. It must not block.
	Resumed func(run workflow.Run, through uint64)
	// Now is the clock, for tests.
	Now func() time.Time
}

// An Engine carries runs on with Temporal. It serves what waits in the task
// queue while [Engine.Run] runs.
type Engine struct {
	opts    Options
	log     *slog.Logger
	cluster cluster
	link    *link // nil in tests that simulate the cluster
	runs    projections
	changes changes

	mu      sync.Mutex
	running map[string]map[int]context.CancelCauseFunc // of nodes, by run
	begun   int                                        // nodes so far
	counts  Counts
}

var _ workflow.Engine = (*Engine)(nil)

// New returns an Engine. It does not need Temporal to be there.
func New(opts Options) (*Engine, error) {
	e := newEngine(opts)
	o, err := opts.Server.client(e.log)
	if err != nil {
		return nil, err
	}
	c, err := client.NewLazyClient(o)
	if err != nil {
		return nil, fmt.Errorf("workflow.temporal: %w", err)
	}
	e.cluster = remote{c, opts.Server.TaskQueue}
	e.link = newLink(c, opts.Server.Timeout, e.log, e.opts.Now)
	e.link.worker = func(onFatal func(error)) worker.Worker {
		w := worker.New(c, opts.Server.TaskQueue, worker.Options{
			MaxConcurrentActivityExecutionSize:      e.opts.Parallel,
			MaxConcurrentLocalActivityExecutionSize: e.opts.Parallel,
			MaxHeartbeatThrottleInterval:            time.Second, // by which a node elsewhere hears that its run was stopped
			WorkerStopTimeout:                       stopTimeout,
			OnFatalError:                            onFatal,
		})
		e.register(w)
		return w
	}
	return e, nil
}

func newEngine(opts Options) *Engine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Parallel <= 0 {
		opts.Parallel = 64
	}
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 10 * time.Second
	}
	if opts.MaxHistory <= 0 {
		opts.MaxHistory = 5000
	}
	if opts.Resumed == nil {
		opts.Resumed = func(workflow.Run, uint64) {}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	e := &Engine{opts: opts, log: opts.Logger.With("engine", "temporal"), running: map[string]map[int]context.CancelCauseFunc{}, counts: Counts{Ended: map[events.RunStatus]int64{}}}
	e.runs.engine = e
	return e
}

const (
	// forEver is a limit where Temporal asks for one and there is none.
	forEver = time.Duration(math.MaxInt32) * time.Second
	// stopTimeout is how long nodes may go on when the server stops.
	stopTimeout = 5 * time.Second
	// advanceTimeout bounds how long a run may take to go on by one step.
	advanceTimeout = 30 * time.Second
)

// register makes the workflow and its activities known to a worker.
func (e *Engine) register(w interface {
	RegisterWorkflowWithOptions(any, sdkworkflow.RegisterOptions)
	RegisterActivityWithOptions(any, activity.RegisterOptions)
},
) {
	w.RegisterWorkflowWithOptions(e.conduct, sdkworkflow.RegisterOptions{Name: workflowName})
	w.RegisterActivityWithOptions(e.advance, activity.RegisterOptions{Name: advanceActivity})
	w.RegisterActivityWithOptions(e.execute, activity.RegisterOptions{Name: executeActivity})
}

// Run connects, and carries runs on, until ctx ends or [Engine.Close] is called.
// It must be called once.
func (e *Engine) Run(ctx context.Context) { e.link.run(ctx) }

// Close lets nothing new begin and waits for Run to return, which gives nodes
// that are running a moment to end. What is not over goes on in another server,
// or here when it is started again.
func (e *Engine) Close(ctx context.Context) error { return e.link.close(ctx) }

// Status returns how it stands with Temporal.
func (e *Engine) Status() Status { return e.link.Status() }

// Counts returns what the engine has done.
func (e *Engine) Counts() Counts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Counts{Ended: maps.Clone(e.counts.Ended), Repeated: e.counts.Repeated}
}

// Name implements [workflow.Engine].
func (e *Engine) Name() workflow.EngineName { return workflow.Temporal }

// down reports whether Temporal did not answer lately. Asking it again would only
// keep the client waiting.
func (e *Engine) down() bool { return e.link != nil && !e.link.Status().Up }

// errAway is for clients while Temporal cannot be reached.
func errAway() error {
	return events.Errorf(events.CodeTemporal, "runs are executed by Temporal, which cannot be reached: try again in a moment")
}

// away is the error for clients of something that Temporal did not do.
func (e *Engine) away(doing string, err error) error {
	e.log.Warn("Temporal did not answer", "doing", doing, "reason", err)
	return errAway()
}

// create stores a new run. Temporal is not asked. One that exists is left as it
// is.
func (e *Engine) create(ctx context.Context, r workflow.Run, input interpreter.Entry) error {
	r.Engine, r.Owner = workflow.Temporal, ""
	refused, err := e.opts.Store.Write(ctx, []workflow.Write{{Create: &r, RunID: r.ID, Entries: []interpreter.Entry{input}}})
	if err == nil {
		err = errors.Join(refused...)
	}
	if err != nil && !errors.Is(err, workflow.ErrExists) {
		return fmt.Errorf("storing run: %w", err)
	}
	return nil
}

// Start implements [workflow.Engine].
func (e *Engine) Start(ctx context.Context, r workflow.Run) error {
	if e.down() {
		return errAway()
	}
	ctx, cancel := e.timed(ctx)
	defer cancel()
	if err := e.cluster.Start(ctx, ticket{r.ID, r.Tenant}); err != nil {
		return e.away("starting run "+r.ID, err)
	}
	return nil
}

// timed bounds how long Temporal may take to answer.
func (e *Engine) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	if e.opts.Server.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, e.opts.Server.Timeout)
}

// Execute implements [workflow.Engine]. A run that does not begin ends, so that
// nobody waits for it.
func (e *Engine) Execute(ctx context.Context, r workflow.Run, input interpreter.Entry) error {
	if e.down() {
		return errAway()
	}
	if err := e.create(ctx, r, input); err != nil {
		return err
	}
	err := e.Start(ctx, r)
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), advanceTimeout)
		defer cancel()
		e.abandon(ctx, r.ID, "Temporal could not be reached")
	}
	return err
}

// abandon ends a run that Temporal does not carry on.
func (e *Engine) abandon(ctx context.Context, runID, why string) {
	_, err := e.runs.of(runID).carry(ctx, func(p *projection, now time.Time) error {
		return p.end(interpreter.Ending{Status: events.RunFailed, Error: why}, now)
	})
	if err != nil {
		e.log.Error("run that does not go on was not ended", "run", runID, "error", err)
	}
}
