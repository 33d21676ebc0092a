package external

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

// Options configure an [Engine].
type Options struct {
	Store  workflow.Store
	Feed   *workflow.Feed
	Logger *slog.Logger
	// Check reports what is wrong with an event for clients, as an
	// *events.Error that names a field of its payload. nil takes any.
	Check func(event string, payload []byte) error
	// MaxBatch bounds the events of a report. Default 1000.
	MaxBatch int
	// MaxResult bounds outputs and values, in bytes of JSON; 0 is no bound.
	MaxResult int
	// Keep is how many runs are remembered between reports. What is not is read
	// from the store again. Default 256.
	Keep int
	// Now is the clock, for tests.
	Now func() time.Time
}

// An Engine takes reports. Its methods may be called concurrently, also in
// several instances with one store.
type Engine struct {
	opts Options

	mu      sync.Mutex
	records map[string]*record
}

var _ workflow.Engine = (*Engine)(nil)

// New returns an Engine.
func New(opts Options) *Engine {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Check == nil {
		opts.Check = func(string, []byte) error { return nil }
	}
	if opts.MaxBatch <= 0 {
		opts.MaxBatch = 1000
	}
	if opts.Keep <= 0 {
		opts.Keep = 256
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Engine{opts: opts, records: make(map[string]*record)}
}

// now is as the store keeps it, so that an entry is the same when it is read.
func (e *Engine) now() time.Time { return e.opts.Now().UTC().Truncate(time.Microsecond) }

// Name implements [workflow.Engine].
func (e *Engine) Name() workflow.EngineName { return workflow.External }

// Execute implements [workflow.Engine]: the run begins with its first report.
func (e *Engine) Execute(ctx context.Context, r workflow.Run, input interpreter.Entry) error {
	r.Owner = ""
	refused, err := e.opts.Store.Write(ctx, []workflow.Write{{Create: &r, RunID: r.ID, Entries: []interpreter.Entry{input}}})
	if err == nil {
		err = refused[0]
	}
	if err != nil && !errors.Is(err, workflow.ErrExists) {
		return fmt.Errorf("storing run: %w", err)
	}
	return nil
}

// Start implements [workflow.Engine].
func (e *Engine) Start(context.Context, workflow.Run) error { return nil }

// Deliver implements [workflow.Engine]. The reporter finds the order in the log.
func (e *Engine) Deliver(ctx context.Context, run workflow.Run, o interpreter.Order) error {
	r := e.take(run)
	defer e.giveBack(r)
	return e.append(ctx, r, func() ([]interpreter.Entry, error) {
		m, err := r.again(ctx, e.opts) // what a machine has made it cannot take back
		if err != nil {
			return nil, err
		}
		var made []interpreter.Entry
		m.Record(func(entry interpreter.Entry) { made = append(made, entry) })
		err = m.Order(o, e.now())
		return made, err
	})
}

// patience is how long others may be faster. Each time one of them has added
// something, so this is for a crowd that never ends.
const patience = 10 * time.Second

// append adds what entries returns to the log of a run, and then tells it. It
// is called again when others have added something first. With no entries
// there is nothing to add, because it is there already; whoever added it may
// not have told it.
func (e *Engine) append(ctx context.Context, r *record, entries func() ([]interpreter.Entry, error)) error {
	var failure error
	for began := time.Now(); time.Since(began) < patience; {
		grown, err := r.read(ctx, e.opts.Store)
		switch {
		case err != nil:
			return err
		case failure != nil && !grown:
			return failure // it was not because of others
		}
		list, err := entries()
		if err != nil {
			return err
		}
		if len(list) == 0 {
			e.opts.Feed.Publish(r.latest)
			return nil
		}
		if failure = e.write(ctx, r.run, list); failure == nil {
			e.opts.Feed.Publish(r.add(list))
			e.opts.Feed.Wake(r.run.ID) // not every entry is an update
			return nil
		}
	}
	return events.Errorf(events.CodeTimeout, "others report what happens in run %s all the time: try again", r.run.ID)
}

// write adds entries to the end of the log of a run. Entries that are numbered
// like some that others have added are an error.
func (e *Engine) write(ctx context.Context, run workflow.Run, entries []interpreter.Entry) error {
	refused, err := e.opts.Store.Write(ctx, []workflow.Write{{RunID: run.ID, Entries: entries}})
	if err == nil {
		err = refused[0]
	}
	if err != nil {
		return fmt.Errorf("appending to run: %w", err)
	}
	if end := workflow.EndIn(entries); end != nil {
		e.opts.Logger.Info("run finished", "run", run.ID, "tenant", run.Tenant, "workflow", run.WorkflowID, "status", string(end.Status), "title", run.Title)
	}
	return nil
}
