//go:build temporal && devserver

package temporal

import (
	"context"
	"flag"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
	"github.com/roomcast/roomcast/internal/workflow/temporal/temporaltest"
)

var binary = flag.String("server", "", "the binary of Temporal's development server, which test/temporal/build builds")

// connect is for newFixture: an engine on a server, with a task queue of the
// fixture's own, that is stopped with the test.
func connect(address string) func(*fixture, Options) *Engine {
	return func(f *fixture, opts Options) *Engine {
		opts.Server = at(address)
		e, _ := join(f.t, opts)
		return e
	}
}

// at is a server, and a task queue of its own.
func at(address string) Server {
	return Server{Address: address, Namespace: "default", TaskQueue: uuid.NewString(), Timeout: 2 * time.Second}
}

// join runs an engine until the test ends, or stop is called.
func join(t *testing.T, opts Options) (e *Engine, stop func()) {
	t.Helper()
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	go e.Run(context.Background())
	stop = sync.OnceFunc(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	eventually.True(t, func() bool { return e.Status().Up })
	return e, stop
}

func TestServer(t *testing.T) {
	s := temporaltest.Start(t, *binary)
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(o Options) *fixture { return newFixture(t, o, connect(s.Address)) })
		})
	}
}

func TestServerIsAway(t *testing.T) {
	s := temporaltest.Start(t, *binary)
	f := newFixture(t, Options{}, connect(s.Address))
	run := f.start("s:start\nw:delay{\"delayType\":\"fixed\",\"delayMs\":500}\na:effect{\"outputVariable\":\"v\"}\nend:end\ns->w\nw->a\na->end", nil)
	s.Kill()
	eventually.True(t, func() bool { return !f.eng.Status().Up })
	if err := f.svc.Stop(t.Context(), ada, run); code(err) != events.CodeTemporal {
		t.Errorf("an order while Temporal is away: %v", err)
	}
	s.Start()
	f.ended(run.ID, events.RunCompleted, "")
}

// TestAnotherServerGoesOn stops the engine that executes a node: another one
// executes it again, with the same key.
func TestAnotherServerGoesOn(t *testing.T) {
	s := temporaltest.Start(t, *binary)
	var opts Options
	var stop func()
	f := newFixture(t, Options{Heartbeat: 2 * time.Second}, func(f *fixture, o Options) (e *Engine) {
		o.Server = at(s.Address)
		opts = o
		e, stop = join(f.t, o)
		return e
	})
	keys := make(chan string, 2)
	hang := make(chan struct{})
	f.effect = func(ctx context.Context, call nodes.Call) (nodes.Result, error) {
		keys <- call.Key
		select {
		case <-ctx.Done():
			return nodes.Result{}, ctx.Err()
		case <-hang:
			return nodes.Result{Output: "other"}, nil
		}
	}
	run := f.start("s:start\na:effect{\"outputVariable\":\"v\"}\n"+`end:end{"outputParameters":[{"name":"out","sourceVariable":"{{ctx.v}}"}]}`+"\ns->a\na->end", nil)
	first := <-keys
	stop()
	close(hang)
	other, _ := join(t, opts)
	if second := <-keys; second != first {
		t.Errorf("keys %s and %s", first, second)
	}
	f.ended(run.ID, events.RunCompleted, `{"out":"other"}`)
	if c := other.Counts(); c.Repeated != 1 || c.Ended[events.RunCompleted] != 1 {
		t.Errorf("%+v", c)
	}
}

// TestTerminated ends a workflow in Temporal itself.
func TestTerminated(t *testing.T) {
	s := temporaltest.Start(t, *binary)
	f := newFixture(t, Options{}, connect(s.Address))
	c := f.eng.link.client
	ask := "s:start\nask:dataCollection{\"collectionType\":\"form\"}\ns->ask"
	run := f.start(ask, nil)
	f.settle(run.ID)
	if err := c.TerminateWorkflow(t.Context(), run.ID, "", "by an operator"); err != nil {
		t.Fatal(err)
	}
	order := interpreter.Order{RunID: run.ID, Do: interpreter.Submit, Data: map[string]any{}, Field: "data", ID: "o"}
	if err := f.eng.Deliver(t.Context(), run, order); code(err) != events.CodeConflict {
		t.Errorf("an input for a run whose workflow is gone: %v", err)
	}
	f.ended(run.ID, events.RunFailed, "")

	run = f.start(ask, nil)
	f.settle(run.ID)
	if err := c.CancelWorkflow(t.Context(), run.ID, ""); err != nil {
		t.Fatal(err)
	}
	f.ended(run.ID, events.RunCancelled, "")
}
