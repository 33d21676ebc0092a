// Package enginetest says what every engine of workflows has to do. An engine
// passes when [Test] passes with it, on each kind of store.
//
// The suite looks at an engine from three sides: from the store below, which it
// wraps, so that it can let it die at any write; from the world that nodes
// touch, by node types of its own that count what is done; and from the
// clients, who must hear of everything in order, once, and after it was stored.
package enginetest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A Setup is what an engine is opened with.
type Setup struct {
	Store  workflow.Store
	Feed   *workflow.Feed
	Types  nodes.Types
	Logger *slog.Logger
	Limits workflow.Limits
}

// A Subject is an engine that is open.
type Subject struct {
	Engine workflow.Engine
	// Kill gives the engine up as if its process had ended: runs stay as the
	// store has them. The store refuses everything by then, and what is still
	// published is not heard. It returns when nothing of the engine is left.
	Kill func()
	// Close ends the engine in order.
	Close func()
	// Repeated returns how many nodes this engine has begun although another
	// had begun them; nil if it does not count.
	Repeated func() uint64
}

// Options say how to get what is tested.
type Options struct {
	// Store returns a store for the test, in which there may be other runs that are over.
	Store func(t *testing.T) workflow.Store
	// Open opens an engine on a store. It goes on with the runs of those that
	// were killed before.
	Open func(t *testing.T, s Setup) Subject
	// Parallel is how many nodes that are not pure it runs at once at most; 0
	// leaves out what depends on that.
	Parallel int
	// Tells that a publication may come twice when an engine is killed between
	// publishing it and remembering that it has.
	Republishes bool
}

const (
	maxDuration = 10 * time.Minute
	maxResult   = 64 << 10
)

// Test runs the suite.
func Test(t *testing.T, o Options) {
	t.Run("runs", func(t *testing.T) {
		b := newBed(t, o)
		t.Run("definitions", b.sub(definitions))
		t.Run("operators", b.sub(operators))
		t.Run("nodes", b.sub(nodeTypes))
		t.Run("retries", b.sub(retries))
		t.Run("inputs", b.sub(inputs))
		t.Run("approvals", b.sub(approvals))
		t.Run("children", b.sub(children))
		t.Run("ends", b.sub(ends))
		t.Run("repetition", b.sub(repetition))
	})
	t.Run("killed", func(t *testing.T) { killed(t, o) })
	t.Run("killed while waiting", func(t *testing.T) { killedWaiting(t, o) })
	t.Run("closed", func(t *testing.T) { closed(t, o) })
	if o.Parallel > 0 {
		t.Run("crowd", func(t *testing.T) { crowd(t, o) })
		t.Run("fairness", func(t *testing.T) { fairness(t, o) })
	}
}
