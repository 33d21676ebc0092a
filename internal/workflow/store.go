package workflow

import (
	"context"
	"errors"

	"github.com/roomcast/roomcast/internal/workflow/interpreter"
)

// ErrNotFound is returned by a [Store] for what it does not have.
var ErrNotFound = errors.New("not found")

// ErrLost is why a [Write] was refused for a run that goes on in another
// instance.
var ErrLost = errors.New("the run goes on elsewhere")

// ErrGap is why a [Write] was refused whose entries do not follow on the log.
var ErrGap = errors.New("entries are missing before these")

// ErrExists is why a [Write] was refused that was to create a run that there is.
var ErrExists = errors.New("the run exists")

// A Write is what is to be added to one run.
type Write struct {
	// Create, when set, is a run that does not exist yet: it is stored with its
	// first entries, and with the status that they say. One that exists is
	// refused with [ErrExists], or added to if it is of this owner and this is
	// Repeated.
	Create *Run
	// RunID and Owner must be those of the run.
	RunID, Owner string
	// Entries go to the end of the log. The run is running from then on, or
	// over if one of them says so.
	Entries []interpreter.Entry
	// Repeated tells that the entries may have been stored before: those that
	// the log has are left out, and what does not follow on it is refused with
	// [ErrGap]. If the log has all of them the write is done, even if the run
	// is over.
	Repeated bool
}

// A Store keeps workflows and runs. Its methods may be called concurrently;
// each is atomic.
type Store interface {
	CreateWorkflow(ctx context.Context, w Workflow) error
	UpdateWorkflow(ctx context.Context, w Workflow) error
	DeleteWorkflow(ctx context.Context, id string) error
	Workflow(ctx context.Context, id string) (Workflow, error)
	// Workflows returns those of a tenant by title.
	Workflows(ctx context.Context, tenant string) ([]Workflow, error)

	// Write does all of the writes, of a run one at most, in one transaction, and
	// returns for each why it was refused: [ErrLost] if the owner is another,
	// [ErrNotFound] if the run is over or does not exist, [ErrExists], [ErrGap],
	// an *events.Error for texts that cannot be stored, or nil. What is refused
	// does not keep the others from being written. err means that nothing was,
	// or that it is not known; it may come from one of the writes, as from
	// entries that the log has in one that is not Repeated.
	Write(ctx context.Context, writes []Write) (refused []error, err error)
	Run(ctx context.Context, id string) (Run, error)
	// Runs returns those of a tenant, newest first, at most limit. workflowID
	// selects those of one workflow unless it is "".
	Runs(ctx context.Context, tenant, workflowID string, limit int) ([]Run, error)
	// ChildRuns returns the runs that another waits for, or has waited for,
	// oldest first.
	ChildRuns(ctx context.Context, parent string) ([]Run, error)
	// AbandonedRuns returns runs of the embedded engine, of all tenants, that
	// have not ended and whose owner is not there any more, at most limit. Those
	// whose definition cannot be read have no plan.
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
	Log(ctx context.Context, runID string, after uint64) ([]interpreter.Entry, error)
}
