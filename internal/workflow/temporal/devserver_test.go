//go:build temporal && devserver

package temporal

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/worker"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow"
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

// TestKilledServer kills the process that executes a node with SIGKILL: when
// nothing has been heard of it for a while, another one executes the node.
func TestKilledServer(t *testing.T) {
	s := temporaltest.Start(t, *binary)
	server, path := at(s.Address), filepath.Join(t.TempDir(), "w.db")
	victim := exec.Command(os.Args[0], "-test.run", "^TestVictim$", "-victim", path, "-address", server.Address, "-queue", server.TaskQueue)
	victim.Stderr = os.Stderr
	said, err := victim.StdoutPipe()
	if err == nil {
		err = victim.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var runID, key string
	var heard []string
	for lines := bufio.NewScanner(said); runID == "" && lines.Scan(); {
		heard = append(heard, lines.Text())
		fmt.Sscanf(lines.Text(), "executing %s %s", &runID, &key)
	}
	victim.Process.Kill()
	victim.Wait()
	if runID == "" {
		t.Fatalf("it said %q", heard)
	}
	again := make(chan string, 1)
	f := openFixture(t, path, Options{Heartbeat: victimHeartbeat}, func(f *fixture, o Options) *Engine {
		f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
			again <- call.Key
			return nodes.Result{}, nil
		}
		o.Server = server
		e, _ := join(f.t, o)
		return e
	})
	if got := <-again; got != key {
		t.Errorf("the key was %s, and is %s", key, got)
	}
	eventually.True(t, func() bool { return f.run(runID).Status == events.RunCompleted }, func() string { return f.logOf(runID) })
	if n := f.eng.Counts().Repeated; n != 1 {
		t.Errorf("%d repeated", n)
	}
}

const victimHeartbeat = 2 * time.Second

var victim, victimAddress, victimQueue = flag.String("victim", "", "for a process of TestKilledServer: its database"),
	flag.String("address", "", "and where Temporal is"), flag.String("queue", "", "and its task queue")

// TestVictim is the process that TestKilledServer kills. By itself it is nothing.
func TestVictim(t *testing.T) {
	if *victim == "" {
		return
	}
	f := openFixture(t, *victim, Options{Heartbeat: victimHeartbeat}, func(f *fixture, o Options) *Engine {
		f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
			fmt.Println("executing", call.RunID, call.Key)
			select {}
		}
		o.Server = Server{Address: *victimAddress, Namespace: "default", TaskQueue: *victimQueue, Timeout: 2 * time.Second}
		e, _ := join(f.t, o)
		return e
	})
	f.start("s:start\na:effect\ns->a", nil)
	select {} // until it is killed
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

var record = flag.String("record", "", "a file for the history of a run, to be replayed by TestReplay")

// TestRecord runs what every part of the workflow has to do with.
func TestRecord(t *testing.T) {
	s := temporaltest.Start(t, *binary)
	f := newFixture(t, Options{}, connect(s.Address))
	failed := false
	f.effect = func(_ context.Context, call nodes.Call) (nodes.Result, error) {
		if call.NodeID == "b" && !failed {
			failed = true
			return nodes.Result{}, errors.New("not yet")
		}
		return nodes.Result{Output: call.NodeID}, nil
	}
	child := f.create("s:start\na:effect\ns->a")
	run := f.start(fmt.Sprintf("s:start\na:effect\nb:effect{\"errorHandling\":\"retry_then_fail\"}\nl:loop{\"sourceVariable\":\"input.n\"}\nc:effect\nq:dataCollection{\"collectionType\":\"form\"}\nsub:subWorkflow{\"workflowID\":%q}\nend:end\n"+
		"s->a\ns->b\na->l\nb->l\nl[loop]->c\nl[completed]->q\nq->sub\nsub->end", child.ID), map[string]any{"n": 2})
	pending := f.settle(run.ID)
	if err := f.svc.Submit(t.Context(), ada, run, workflow.Input{RequestID: pending[0].CollectionRequestID, Data: map[string]any{}, Field: "data"}); err != nil {
		t.Fatal(err)
	}
	f.ended(run.ID, events.RunCompleted, "")
	eventually.True(t, func() bool { at, err := f.eng.cluster.State(t.Context(), run.ID); return err == nil && at == closed })
	var history historypb.History
	for i := f.eng.link.client.GetWorkflowHistory(t.Context(), run.ID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); i.HasNext(); {
		e, err := i.Next()
		if err != nil {
			t.Fatal(err)
		}
		history.Events = append(history.Events, e)
	}
	r := worker.NewWorkflowReplayer()
	f.eng.register(replayed{r})
	if err := r.ReplayWorkflowHistory(nil, &history); err != nil {
		t.Error(err)
	}
	if *record == "" {
		return
	}
	raw, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&history)
	if err == nil {
		err = os.WriteFile(*record, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
