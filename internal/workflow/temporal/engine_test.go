//go:build temporal

package temporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/certificate"
	rooms "github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/sqlite"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

var ada = &auth.Identity{User: "ada", Tenants: []auth.Membership{{ID: "acme", Role: auth.Admin}}}

// fixture is a service on an engine and a database of its own.
type fixture struct {
	t   *testing.T
	db  *store.DB
	eng *Engine
	svc *workflow.Service
	// effect is what nodes of the type "effect" do.
	effect func(ctx context.Context, call nodes.Call) (nodes.Result, error)

	mu        sync.Mutex
	published []published
}

type published struct {
	run     string
	pos     rooms.Position
	name    string
	payload string
}

// newFixture has an engine built by build, which gets the options.
func newFixture(t *testing.T, opts Options, build func(*fixture, Options) *Engine) *fixture {
	t.Helper()
	return openFixture(t, filepath.Join(t.TempDir(), "w.db"), opts, build)
}

// openFixture is newFixture on a database that may have something.
func openFixture(t *testing.T, path string, opts Options, build func(*fixture, Options) *Engine) *fixture {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := &fixture{t: t, db: db}
	f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
		return nodes.Result{Output: call.NodeID}, nil
	}
	opts.Types = nodes.All(nodes.Options{})
	opts.Types["effect"] = effect{f}
	opts.Store, opts.Feed = db.Workflows(), workflow.NewFeed(f, slog.New(slog.DiscardHandler))
	f.eng = build(f, opts)
	f.svc = workflow.NewService(workflow.ServiceOptions{Store: opts.Store, Engine: f.eng, Feed: opts.Feed, Types: opts.Types})
	return f
}

// simulate is for newFixture: the cluster is simulated.
func simulate(f *fixture, opts Options) *Engine {
	e := newEngine(opts)
	s := newSimulated()
	s.attach(e)
	f.t.Cleanup(s.detach)
	return e
}

// effect is a node type that does what a test says.
type effect struct{ f *fixture }

func (effect) Check(nodes.Data) []nodes.Problem { return nil }
func (effect) Handles(nodes.Data) []string      { return []string{"output"} }
func (effect) Pure() bool                       { return false }
func (t effect) Run(ctx context.Context, call nodes.Call) (nodes.Result, error) {
	return t.f.effect(ctx, call)
}

// Publish implements workflow.Publisher.
func (f *fixture) Publish(room events.Room, pos rooms.Position, p events.Payload) error {
	raw, err := json.Marshal(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.published = append(f.published, published{string(room), pos, p.EventName(), string(raw)})
	return err
}

// create saves a workflow.
func (f *fixture) create(def string) workflow.Workflow {
	f.t.Helper()
	w, err := f.svc.Create(f.t.Context(), ada, "acme", "W", graphtest.Parse(f.t, def))
	if err != nil {
		f.t.Fatal(err)
	}
	return w
}

func (f *fixture) start(def string, input map[string]any) workflow.Run {
	f.t.Helper()
	run, err := f.svc.Execute(f.t.Context(), ada, f.create(def).ID, input)
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

// finish waits for the end of a run and returns how it ended.
func (f *fixture) finish(runID string) interpreter.Ending {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	if err := f.svc.Wait(ctx, runID); err != nil {
		f.t.Fatalf("waiting for the end: %v\n%s", err, f.logOf(runID))
	}
	f.checkPublished(runID)
	log := f.entries(runID)
	return interpreter.Decode[interpreter.Ending](log[len(log)-1])
}

// settle waits until a run waits for people.
func (f *fixture) settle(runID string) []events.WorkflowDataCollectionRequest {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	if err := f.svc.Settle(ctx, runID); err != nil {
		f.t.Fatalf("waiting for a request: %v\n%s", err, f.logOf(runID))
	}
	state, err := f.svc.State(ctx, f.run(runID))
	if err != nil {
		f.t.Fatal(err)
	}
	return state.Pending
}

func (f *fixture) run(runID string) workflow.Run {
	f.t.Helper()
	run, err := f.db.Workflows().Run(f.t.Context(), runID)
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

func (f *fixture) entries(runID string) []interpreter.Entry {
	f.t.Helper()
	log, err := f.db.Workflows().Log(context.WithoutCancel(f.t.Context()), runID, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return log
}

// logOf returns the log as text: types, nodes and iterations.
func (f *fixture) logOf(runID string) string {
	var b strings.Builder
	for i, e := range f.entries(runID) {
		if e.Seq != uint64(i+1) {
			fmt.Fprintf(&b, "[%d] ", e.Seq)
		}
		fmt.Fprintf(&b, "%s %s %s\n", e.Type, e.Node, e.Iteration)
	}
	return b.String()
}

// count returns how many entries of a type a log has.
func (f *fixture) count(runID string, typ interpreter.EntryType) (n int) {
	for _, e := range f.entries(runID) {
		if e.Type == typ {
			n++
		}
	}
	return n
}

// checkPublished finds out whether everything visible was published, in order,
// once.
func (f *fixture) checkPublished(runID string) {
	f.t.Helper()
	var want []uint64
	for _, e := range f.entries(runID) {
		if e.Visible() {
			want = append(want, e.Seq)
		}
	}
	published := func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var got []uint64
		prev := uint64(0)
		for _, p := range f.published {
			if p.run != runID {
				continue
			}
			if p.pos.Prev != prev {
				return fmt.Sprintf("%s at %d follows %d, not %d", p.name, p.pos.Offset, p.pos.Prev, prev)
			}
			prev = p.pos.Offset
			got = append(got, p.pos.Offset)
		}
		return fmt.Sprint(got)
	}
	eventually.True(f.t, func() bool { return published() == fmt.Sprint(want) }, func() string {
		return fmt.Sprintf("published %s, the log has %v", published(), want)
	})
}

func (f *fixture) ended(runID string, status events.RunStatus, output string) {
	f.t.Helper()
	if end := f.finish(runID); end.Status != status || output != "" && string(end.Output) != output {
		f.t.Errorf("%s %s %q, want %s %s\n%s", end.Status, end.Output, end.Error, status, output, f.logOf(runID))
	}
}

func code(err error) events.Code {
	var e *events.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

const endWith = `end:end{"outputParameters":[{"name":"out","sourceVariable":"{{%s}}"}]}` + "\n"

// cases are what every cluster is tried with.
var cases = map[string]func(t *testing.T, open func(Options) *fixture){
	"nodes follow each other": func(t *testing.T, open func(Options) *fixture) {
		f := open(Options{})
		f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
			return nodes.Result{Output: map[string]any{"got": call.Vars["x"], "key": call.Key != ""}}, nil
		}
		run := f.start("s:start\nt:transform{\"expression\":\"input.n * 21\",\"outputVariable\":\"x\"}\ne:effect{\"outputVariable\":\"y\"}\n"+fmt.Sprintf(endWith, "ctx.y")+"s->t\nt->e\ne->end", map[string]any{"n": 2})
		f.ended(run.ID, events.RunCompleted, `{"out":{"got":42,"key":true}}`)
		if got := f.run(run.ID); got.Status != events.RunCompleted || got.Engine != workflow.Temporal {
			t.Errorf("%+v", got)
		}
	},
	"branches run side by side": func(t *testing.T, open func(Options) *fixture) {
		f := open(Options{})
		var both sync.WaitGroup
		both.Add(4)
		f.effect = func(ctx context.Context, call nodes.Call) (nodes.Result, error) {
			both.Done()
			both.Wait() // all of them are here at once
			return nodes.Result{Output: call.NodeID}, nil
		}
		run := f.start("s:start\na:effect\nb:effect\nc:effect\nd:effect\nj:transform{\"expression\":\"1\"}\n"+fmt.Sprintf(endWith, "ctx.transformResult")+"s->a\ns->b\ns->c\ns->d\na->j\nb->j\nc->j\nd->j\nj->end", nil)
		f.ended(run.ID, events.RunCompleted, `{"out":1}`)
	},
	"results are larger than payloads": func(t *testing.T, open func(Options) *fixture) {
		f := open(Options{})
		f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
			if v, ok := call.Vars["v"].(string); ok {
				return nodes.Result{Output: len(v)}, nil
			}
			return nodes.Result{Output: strings.Repeat("x", 2<<20+1)}, nil
		}
		run := f.start("s:start\na:effect{\"outputVariable\":\"v\"}\nb:effect{\"outputVariable\":\"n\"}\n"+fmt.Sprintf(endWith, "ctx.n")+"s->a\na->b\nb->end", nil)
		f.ended(run.ID, events.RunCompleted, `{"out":2097153}`)
	},
	"a run takes too long": func(t *testing.T, open func(Options) *fixture) {
		f := open(Options{Limits: workflow.Limits{MaxDuration: 300 * time.Millisecond}})
		run := f.start("s:start\nask:dataCollection{\"collectionType\":\"form\"}\ns->ask", nil)
		f.ended(run.ID, events.RunFailed, "")
	},
	"histories are cut": func(t *testing.T, open func(Options) *fixture) {
		f := open(Options{MaxHistory: 30})
		seen := map[string]int{}
		var mu sync.Mutex
		f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			seen[call.Key]++
			return nodes.Result{Output: call.Vars["i"]}, nil
		}
		run := f.start("s:start\nl:loop{\"sourceVariable\":\"{{input.n}}\",\"indexVariable\":\"i\",\"outputVariable\":\"all\"}\na:effect\nb:effect\n"+fmt.Sprintf(endWith, "ctx.all[11]")+"s->l\nl[loop]->a\nl[loop]->b\nl[completed]->end", map[string]any{"n": 12})
		f.ended(run.ID, events.RunCompleted, `{"out":11}`)
		for key, n := range seen {
			if n != 1 {
				t.Errorf("%s ran %d times", key, n)
			}
		}
		if len(seen) != 24 {
			t.Errorf("%d executions", len(seen))
		}
		if s, ok := f.eng.cluster.(*simulated); ok && s.cuts < 2 {
			t.Errorf("the history was cut %d times", s.cuts)
		}
	},
	"a start that comes again": func(t *testing.T, open func(Options) *fixture) {
		f := open(Options{})
		w := f.create("s:start\na:effect\ns->a")
		run, err := f.svc.Execute(t.Context(), ada, w.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := f.eng.Start(t.Context(), run); err != nil {
				t.Fatal(err)
			}
		}
		f.ended(run.ID, events.RunCompleted, "")
		if n := f.count(run.ID, interpreter.NodeDispatched); n != 1 {
			t.Errorf("%d times", n)
		}
	},
}

func TestSimulated(t *testing.T) {
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(o Options) *fixture { return newFixture(t, o, simulate) })
		})
	}
}

// TestTemporalIsNotThere has an engine whose Temporal was never there.
func TestTemporalIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f := newFixture(t, Options{Server: Server{Address: l.Addr().String(), Namespace: "default", TaskQueue: "q", Timeout: time.Second}}, func(_ *fixture, o Options) *Engine {
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.eng.Run(ctx) })
	eventually.True(t, func() bool { return f.eng.Status().Error != "" })
	w := f.create("s:start")
	if _, err := f.svc.Execute(t.Context(), ada, w.ID, nil); code(err) != events.CodeTemporal {
		t.Errorf("executing: %v", err)
	}
	if runs, err := f.svc.Runs(t.Context(), ada, "acme", "", 10); err != nil || len(runs) > 0 {
		t.Errorf("%v, %v: a run that was refused was kept", runs, err)
	}
	draft, err := f.svc.Draft(t.Context(), ada, w, nil)
	if err != nil {
		t.Fatal(err)
	}
	run := draft.Run
	if err := f.eng.create(t.Context(), run, interpreter.Entry{Seq: 1, Type: interpreter.InputSet, At: run.StartedAt, Data: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if err := f.eng.Start(t.Context(), run); code(err) != events.CodeTemporal {
		t.Errorf("starting: %v", err)
	}
	if err := f.svc.Stop(t.Context(), ada, run); code(err) != events.CodeTemporal {
		t.Errorf("stopping: %v", err)
	}
	stop()
	running.Wait()
}

func TestTLSOptions(t *testing.T) {
	for field, tls := range map[string]certificate.Client{
		"tls.ca":   {Enabled: true, CA: "/does/not/exist"},
		"tls.cert": {Enabled: true, Cert: "/does/not/exist", Key: "/does/not/exist"},
	} {
		if _, err := New(Options{Server: Server{Address: "127.0.0.1:1", TLS: tls}}); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}
