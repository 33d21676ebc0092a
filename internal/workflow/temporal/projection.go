//go:build temporal

package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// A projection is the machine of a run as its log says, kept so that the log
// is not read anew for every step. Others may write to the same log at any time,
// on this server or another: what a machine makes is only so once the store has
// taken it in its place, and else the machine is made anew.
type projection struct {
	engine *Engine
	runID  string

	mu      sync.Mutex
	run     workflow.Run         // as it was first read, which is never changed
	m       *interpreter.Machine // nil until it is loaded
	updates *workflow.Updates
	made    []interpreter.Entry // by the machine, and not stored yet
	size    int                 // of their data
	todo    []interpreter.Work  // pure work that was handed out
}

// Bounds of one turn of a run.
const (
	batchEntries = 256
	batchBytes   = 1 << 20
	turn         = 500 * time.Millisecond
	conflicts    = 100 // in a row, after which something else is wrong
)

// errMoved is why entries were not stored: others have written to the log.
var errMoved = errors.New("the log has moved on")

// carry lets a run go on: by what fn does to its machine, and by all that
// follows without effects. fn is called again if others were faster, so it must
// do nothing a second time that the log has already. A run that is over stays as
// it is.
func (p *projection) carry(ctx context.Context, fn func(p *projection, now time.Time) error) (step, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	began := time.Now()
	for range conflicts {
		if err := p.refresh(ctx); err != nil {
			return step{}, err
		}
		if err := fn(p, p.engine.opts.Now().UTC()); err != nil {
			return step{}, p.drop(err)
		}
		err := p.follow(ctx, began)
		if err == nil {
			return p.step(), nil
		}
		if p.drop(err); !errors.Is(err, errMoved) {
			return step{}, err
		}
	}
	return step{}, fmt.Errorf("run %s: others write to its log all the time", p.runID)
}

// look brings the machine up to date and calls fn with it, which must not
// change it.
func (p *projection) look(ctx context.Context, fn func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refresh(ctx); err != nil {
		return err
	}
	fn()
	return nil
}

// refresh takes in what the log has that the machine has not.
func (p *projection) refresh(ctx context.Context) error {
	if p.m == nil {
		return p.load(ctx)
	}
	if p.m.Ended() != nil {
		return nil
	}
	log, err := p.engine.opts.Store.Log(ctx, p.runID, p.m.Seq())
	if err != nil {
		return fmt.Errorf("reading log: %w", err)
	}
	p.m.Replay(log)
	return nil
}

func (p *projection) load(ctx context.Context) error {
	run, err := p.engine.opts.Store.Run(ctx, p.runID)
	if err != nil {
		return fmt.Errorf("reading run: %w", err)
	}
	log, err := p.engine.opts.Store.Log(ctx, p.runID, 0)
	if err != nil {
		return fmt.Errorf("reading log: %w", err)
	}
	o := p.engine.opts
	m := run.Machine(o.Types, o.Limits)
	m.Replay(log)
	if p.run.ID == "" {
		p.run = run
	}
	p.m, p.updates = m, workflow.NewUpdates(run, m)
	m.Record(func(e interpreter.Entry) {
		p.made, p.size = append(p.made, e), p.size+len(e.Data)
		p.updates.Add(e)
	})
	if m.Begun() {
		o.Resumed(run, m.Seq())
	}
	return nil
}

// drop forgets a machine that is not as the log says.
func (p *projection) drop(err error) error {
	p.m, p.updates, p.made, p.size, p.todo = nil, nil, nil, 0, nil
	return err
}

// follow does what follows by itself, and stores it, until there is nothing
// more or the turn is over.
func (p *projection) follow(ctx context.Context, began time.Time) error {
	for {
		p.todo = append(p.todo, p.m.Next(p.engine.opts.Now().UTC())...)
		if p.todo = p.pure(p.todo); len(p.todo) == 0 || p.m.Ended() != nil {
			return p.store(ctx)
		}
		if len(p.made) >= batchEntries || p.size >= batchBytes {
			if err := p.store(ctx); err != nil {
				return err
			}
		}
		if time.Since(began) > turn {
			return p.store(ctx)
		}
		w := p.todo[0]
		p.todo = p.todo[1:]
		typ, call := p.m.Call(w, p.engine.opts.Now().UTC())
		result, err := p.engine.opts.Types.Execute(ctx, typ, call, p.engine.log)
		if ctx.Err() != nil {
			return fmt.Errorf("node %s: %w", w.Node, context.Cause(ctx))
		}
		p.m.Result(w, result, err, p.engine.opts.Now().UTC())
	}
}

// pure returns the work that is done here and now: the other has a record, by
// which it is given to activities.
func (p *projection) pure(work []interpreter.Work) []interpreter.Work {
	kept := work[:0]
	for _, w := range work {
		if w.Pure {
			kept = append(kept, w)
		}
	}
	return kept
}

// store adds what the machine has made to the log, then tells of it.
func (p *projection) store(ctx context.Context) error {
	if len(p.made) == 0 {
		return nil
	}
	refused, err := p.engine.opts.Store.Write(ctx, []workflow.Write{{RunID: p.runID, Owner: p.run.Owner, Entries: p.made}})
	if err == nil {
		err = errors.Join(refused...)
	}
	if err != nil {
		return p.moved(ctx, err)
	}
	p.made, p.size = nil, 0
	p.engine.opts.Feed.Publish(p.updates.Take())
	p.engine.changes.tell(p.runID)
	if end := p.m.Ended(); end != nil {
		p.engine.over(p.runID, *end)
	}
	return nil
}

// moved finds out why entries were not stored.
func (p *projection) moved(ctx context.Context, reason error) error {
	log, err := p.engine.opts.Store.Log(ctx, p.runID, p.made[0].Seq-1)
	switch {
	case err != nil:
		return fmt.Errorf("appending to run: %w", errors.Join(reason, err))
	case len(log) > 0:
		return errMoved
	}
	return fmt.Errorf("appending to run: %w", reason)
}

// orders carries out orders of the engine itself. What refuses one is that it is
// not needed any more.
func (p *projection) orders(list []interpreter.Order, now time.Time) error {
	for _, o := range list {
		if err := p.m.Order(o, now); err != nil {
			p.engine.log.Debug("order was not needed", "run", p.runID, "order", string(o.Do), "reason", err)
		}
	}
	return nil
}

// end makes the entry of an end that the machine did not come to by itself.
func (p *projection) end(ending interpreter.Ending, now time.Time) error {
	if p.m.Ended() != nil {
		return nil
	}
	e, err := interpreter.NewEntry(interpreter.RunEnded, "", "", ending)
	if err == nil {
		p.m.Add(e, now)
	}
	return err
}

// step says how the run goes on.
func (p *projection) step() step {
	s := step{Through: p.m.Seq(), run: p.run, children: p.m.Children()}
	if end := p.m.Ended(); end != nil {
		s.Status, s.Error = end.Status, end.Error
		return s
	}
	s.Work, s.Alarm, s.More = p.m.Unfinished(), p.m.Alarm(), len(p.todo) > 0
	return s
}

// projections are those of the runs that were looked at lately.
type projections struct {
	engine *Engine

	mu     sync.Mutex
	runs   map[string]*projection
	latest []string // the oldest first
}

// remembered is how many projections are kept.
const remembered = 1000

// of returns the projection of a run.
func (ps *projections) of(runID string) *projection {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.runs[runID]; p != nil {
		return p
	}
	if ps.runs == nil {
		ps.runs = map[string]*projection{}
	}
	for len(ps.runs) >= remembered {
		delete(ps.runs, ps.latest[0]) // who uses it goes on with it
		ps.latest = ps.latest[1:]
	}
	p := &projection{engine: ps.engine, runID: runID}
	ps.runs[runID] = p
	ps.latest = append(ps.latest, runID)
	return p
}

// forget drops the projection of a run that is over.
func (ps *projections) forget(runID string) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.runs[runID] == nil {
		return
	}
	delete(ps.runs, runID)
	for i, id := range ps.latest {
		if id == runID {
			ps.latest = append(ps.latest[:i], ps.latest[i+1:]...)
			return
		}
	}
}
