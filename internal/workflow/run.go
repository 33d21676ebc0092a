package workflow

import (
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/interpreter"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A Run is one execution of a definition.
type Run struct {
	ID         string // instanceID
	WorkflowID string // "" for the test of an unsaved definition
	Tenant     string
	Title      string // of the workflow when the run began
	Status     events.RunStatus
	// Plan is the definition that the run began with; it has no nodes if they
	// are known elsewhere only.
	Plan      *graph.Plan
	StartedBy string
	StartedAt time.Time
	EndedAt   time.Time // zero while it goes on
	Error     string
	// Engine carries the run on, for as long as it lives.
	Engine EngineName
	// Owner is the instance that the run goes on in, "" if it is in none.
	Owner string
	// Parent is the run that waits for this one, "" if there is none, and Depth
	// how many are above it.
	Parent string
	Depth  int
}

// EngineName says which engine a run is carried on by.
type EngineName string

// The engines.
const (
	Embedded EngineName = "embedded" // package journal
	Temporal EngineName = "temporal" // package temporal
	External EngineName = "external" // somebody who reports over HTTP
)

// Deadline is when the run ends if it goes on, zero if never. max bounds what
// its definition says; 0 is no bound.
func (r Run) Deadline(max time.Duration) time.Time {
	limit := time.Duration(r.Plan.Definition.Options.TimeoutSeconds * float64(time.Second))
	if max > 0 && (limit <= 0 || limit > max) {
		limit = max
	}
	if limit <= 0 {
		return time.Time{}
	}
	return r.StartedAt.Add(limit)
}

// Limits are what a run may take; 0 is no limit.
type Limits struct {
	MaxDuration  time.Duration // waiting included
	MaxResult    int           // of a node, in bytes of JSON
	MaxVariables int           // all of them, in bytes of JSON
	MaxEntries   uint64        // of the log
}

// Machine returns the machine of the run, without any entries.
func (r Run) Machine(types nodes.Types, l Limits) *interpreter.Machine {
	return interpreter.New(r.Plan, interpreter.Options{
		RunID: r.ID, Tenant: r.Tenant, User: r.StartedBy, Pure: types.Pure,
		Deadline: r.Deadline(l.MaxDuration), MaxResult: l.MaxResult, MaxVariables: l.MaxVariables, MaxEntries: l.MaxEntries,
	})
}

// Replay returns the machine of a run as its log says, to be looked at.
func (r Run) Replay(log []interpreter.Entry) *interpreter.Machine {
	m := interpreter.New(r.Plan, interpreter.Options{RunID: r.ID, Tenant: r.Tenant})
	m.Replay(log)
	return m
}

// End is how a run ended.
type End struct {
	Status events.RunStatus
	Error  string
	At     time.Time
}

// EndIn returns how a run ended, nil if none of the entries says so.
func EndIn(entries []interpreter.Entry) *End {
	for _, e := range entries {
		if e.Type == interpreter.RunEnded {
			end := interpreter.Decode[interpreter.Ending](e)
			return &End{Status: end.Status, Error: end.Error, At: e.At}
		}
	}
	return nil
}
