//go:build temporal && devserver

package temporal

import (
	"context"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

var binary = flag.String("server", "", "the binary of Temporal's development server, which test/temporal/build builds")

// devServer is a development server of Temporal on a port of its own.
type devServer struct {
	t       *testing.T
	address string
	file    string // its database
	cmd     *exec.Cmd
}

func startServer(t *testing.T) *devServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := &devServer{t: t, address: l.Addr().String(), file: filepath.Join(t.TempDir(), "temporal.db")}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *devServer) start() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.address)
	s.cmd = exec.Command(*binary, "server", "start-dev", "--headless", "--ip", host, "--port", port, "--log-level", "error", "--db-filename", s.file)
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, os.Stderr
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("-server: %v", err)
	}
	eventually.True(s.t, func() bool {
		c, err := client.DialContext(s.t.Context(), client.Options{HostPort: s.address, Logger: silent{}})
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (s *devServer) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// connect is for newFixture: an engine on the server, with a task queue of the
// fixture's own, that is stopped with the test.
func (s *devServer) connect(f *fixture, opts Options) *Engine {
	opts.Server = Server{Address: s.address, Namespace: "default", TaskQueue: uuid.NewString(), Timeout: 2 * time.Second}
	e, _ := s.join(opts)
	return e
}

// join runs an engine until the test ends, or stop is called.
func (s *devServer) join(opts Options) (e *Engine, stop func()) {
	s.t.Helper()
	e, err := New(opts)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { e.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	s.t.Cleanup(stop)
	eventually.True(s.t, func() bool { return e.Status().Up })
	return e, stop
}

func TestServer(t *testing.T) {
	s := startServer(t)
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(o Options) *fixture { return newFixture(t, o, s.of(t).connect) })
		})
	}
}

// of returns the server for a test of its own.
func (s *devServer) of(t *testing.T) *devServer { return &devServer{t: t, address: s.address} }

func TestServerIsAway(t *testing.T) {
	s := startServer(t)
	f := newFixture(t, Options{}, s.connect)
	run := f.start("s:start\nw:delay{\"delayType\":\"fixed\",\"delayMs\":500}\na:effect{\"outputVariable\":\"v\"}\nend:end\ns->w\nw->a\na->end", nil)
	s.stop()
	eventually.True(t, func() bool { return !f.eng.Status().Up })
	if err := f.svc.Stop(t.Context(), ada, run); code(err) != events.CodeTemporal {
		t.Errorf("an order while Temporal is away: %v", err)
	}
	s.start()
	f.ended(run.ID, events.RunCompleted, "")
}

// TestAnotherServerGoesOn stops the engine that executes a node: another one
// executes it again, with the same key.
func TestAnotherServerGoesOn(t *testing.T) {
	s := startServer(t)
	var opts Options
	var stop func()
	f := newFixture(t, Options{Heartbeat: 2 * time.Second}, func(f *fixture, o Options) (e *Engine) {
		o.Server = Server{Address: s.address, Namespace: "default", TaskQueue: uuid.NewString(), Timeout: 2 * time.Second}
		opts = o
		e, stop = s.join(o)
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
	repeated := make(chan bool, 1)
	opts.Repeated = func() { repeated <- true }
	stop()
	close(hang)
	s.join(opts)
	if second := <-keys; second != first {
		t.Errorf("keys %s and %s", first, second)
	}
	<-repeated
	f.ended(run.ID, events.RunCompleted, `{"out":"other"}`)
}

// TestTerminated ends a workflow in Temporal itself.
func TestTerminated(t *testing.T) {
	s := startServer(t)
	f := newFixture(t, Options{}, s.connect)
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
