package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// Runs are what a widget needs of workflows. Errors that are an *events.Error
// are for the client.
type Runs interface {
	// Executable returns a workflow that the user may execute.
	Executable(ctx context.Context, id *auth.Identity, workflowID string) (Workflow, error)
	// Draft makes a run that is not stored yet. If the request is repeated, it
	// is the run that was made for it before.
	Draft(ctx context.Context, id *auth.Identity, w Workflow, input map[string]any) (Draft, error)
	// Launch stores a run and lets it go; one that was launched goes on.
	Launch(ctx context.Context, d Draft) error
	// Find returns a run that the user may read, or with answer may give input.
	Find(ctx context.Context, id *auth.Identity, runID string, answer bool) (Run, error)
	// Newest returns the latest run of a workflow that the user may read.
	Newest(ctx context.Context, id *auth.Identity, workflowID string) (Run, error)
	// Inputs returns the values that a run began with.
	Inputs(ctx context.Context, run Run) (map[string]any, error)
	// History returns what has happened in a run after an offset, and the
	// offset that it reaches to.
	History(ctx context.Context, run Run, after uint64) (History, error)
	// Input gives a run what a person did in a widget.
	Input(ctx context.Context, id *auth.Identity, run Run, value map[string]any, form bool) error
}

// A Run is one execution of a workflow.
type Run struct {
	ID         string
	WorkflowID string
	Tenant     string
	// Handle is for the implementation of Runs.
	Handle any
}

// A Workflow is what runs are made of.
type Workflow struct {
	Tenant string
	// Handle is for the implementation of Runs.
	Handle any
}

// A Draft is a run that is not stored yet.
type Draft struct {
	Run Run
	// Through is the offset that it will have when it has been stored and has
	// done nothing yet, and Context the variables of then.
	Through uint64
	Context Context
	// Handle is for the implementation of Runs.
	Handle any
}

// A Context is the variables of a run at one moment as events carry them:
// themselves, or null and where they are if they are too large. They are put
// together when they are asked for, and once: most updates are of runs that no
// widget shows. It may be called concurrently.
type Context func() (events.JSON, *events.ContextRef)

// History is what has happened in a run, all of it from one reading.
type History struct {
	Updates []Update // without their context, but for the end of the run
	Through uint64   // the offset that it reaches to
	Status  events.RunStatus
	Context Context // at Through
}

// An Update tells that a node has ended, or the run, or that input is needed.
type Update struct {
	RunID   string
	Offset  uint64
	Prev    uint64           // the offset of the update before it, 0 if there is none
	Node    *Node            // of a node that has ended
	Status  events.RunStatus // at the end of the run
	Context Context          // all variables; nil if they are not known
	At      time.Time
	Payload events.Payload // what the room of the run gets
	Size    int            // about how many bytes that is
}

// A Node is what a node did.
type Node struct {
	ID, Type string
	Status   events.NodeStatus
	Variable string
	Value    events.JSON
}

// Widgets are who owns which widget.
type Widgets interface {
	// Widget returns the tenant of a widget.
	Widget(ctx context.Context, id string) (tenant string, err error)
	// ClaimWidget gives a widget to a tenant, unless it has one, and returns
	// the tenant that it belongs to.
	ClaimWidget(ctx context.Context, id, tenant, user string) (owner string, err error)
}

// ErrNotFound is returned by [Widgets] for a widget that nobody owns.
var ErrNotFound = errors.New("not found")
