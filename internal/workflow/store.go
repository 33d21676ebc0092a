package workflow

import (
	"context"
	"errors"
	"time"

	"github.com/roomcast/roomcast/events"
)

// A Run is one execution of a definition.
type Run struct {
	ID         string // instanceID
	WorkflowID string // "" for the test of an unsaved definition
	Tenant     string
	Title      string // of the workflow when the run began
	Status     events.RunStatus
	Definition Definition
	StartedBy  string
	StartedAt  time.Time
	EndedAt    time.Time // zero while it goes on
	Error      string
	// Owner is the instance that the run goes on in, "" if it is in none.
	Owner string
}

// ErrNotFound is returned by a [Store] for what it does not have.
var ErrNotFound = errors.New("not found")

// ErrLost is returned by [Store.Append] for a run that goes on in another
// instance.
var ErrLost = errors.New("the run goes on elsewhere")

// A Store keeps workflows and runs. Its methods may be called concurrently;
// each is atomic.
type Store interface {
	CreateWorkflow(ctx context.Context, w Workflow) error
	UpdateWorkflow(ctx context.Context, w Workflow) error
	DeleteWorkflow(ctx context.Context, id string) error
	Workflow(ctx context.Context, id string) (Workflow, error)
	// Workflows returns those of a tenant by title.
	Workflows(ctx context.Context, tenant string) ([]Workflow, error)

	// CreateRun stores a run, which its owner keeps, with its first entries.
	CreateRun(ctx context.Context, r Run, log []Entry) error
	// Append adds entries to the log of a run, which is running from then on;
	// end, when set, also ends it. Nobody but the owner of the run can.
	Append(ctx context.Context, runID, owner string, log []Entry, end *End) error
	Run(ctx context.Context, id string) (Run, error)
	// Runs returns those of a tenant, newest first, at most limit. workflowID
	// selects those of one workflow unless it is "".
	Runs(ctx context.Context, tenant, workflowID string, limit int) ([]Run, error)
	// AbandonedRuns returns runs of all tenants that have not ended and whose
	// owner is not there any more, at most limit.
	AbandonedRuns(ctx context.Context, limit int) ([]Run, error)
	// TakeRun gives a run that has not ended to another owner, if the one
	// before is not there any more, or "". Of many who try, one succeeds.
	TakeRun(ctx context.Context, id, from, to string) (taken bool, err error)
	// ReleaseRuns makes the runs of an owner that have not ended nobody's.
	ReleaseRuns(ctx context.Context, owner string) error
	// RunOfRequest returns the run of a tenant that has made a request for
	// input.
	RunOfRequest(ctx context.Context, tenant, request string) (Run, error)
	// LogHeads returns the number of the latest entry of each run that clients
	// may see; it may also be that of a delay, which they do not.
	LogHeads(ctx context.Context, runIDs []string) (map[string]uint64, error)
	// Log returns the entries of a run after a number, in order.
	Log(ctx context.Context, runID string, after uint64) ([]Entry, error)
}

// End is how a run ended.
type End struct {
	Status events.RunStatus
	Error  string
	At     time.Time
}
