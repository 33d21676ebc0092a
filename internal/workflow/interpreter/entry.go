package interpreter

import (
	"encoding/json"
	"time"

	"github.com/roomcast/roomcast/events"
)

// An Entry is one thing that happened in a run.
type Entry struct {
	Seq  uint64    `json:"seq"` // from 1, without gaps
	Type EntryType `json:"type"`
	Node string    `json:"nodeID,omitempty"`
	// Iteration says in which pass of the loops around the node: "4" is the
	// fifth of a loop, "4.0" the first of a loop in it; "" is outside of loops.
	Iteration string          `json:"iteration,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"` // of the type that belongs to Type
	At        time.Time       `json:"at"`
	// Request is the request for input that the entry makes, by which a store
	// finds the run. It is in Data too, and not read back.
	Request string `json:"-"`
}

// EntryType says what happened.
type EntryType string

// The types of entries, and what their data is.
const (
	InputSet         EntryType = "INPUT_SET"         // the input values
	NodeDispatched   EntryType = "NODE_DISPATCHED"   // none; a node that does something is about to begin
	NodeCompleted    EntryType = "NODE_COMPLETED"    // Completion
	NodeFailed       EntryType = "NODE_FAILED"       // Failure
	NodeRetry        EntryType = "NODE_RETRY"        // Retry
	NodeSuspended    EntryType = "NODE_SUSPENDED"    // Suspension
	LoopStarted      EntryType = "LOOP_STARTED"      // Loop
	IterationStarted EntryType = "ITERATION_STARTED" // Iteration
	SystemSet        EntryType = "SYSTEM_SET"        // Assignment
	RunEnded         EntryType = "RUN_ENDED"         // Ending
)

// Visible reports whether clients see an entry.
func (e Entry) Visible() bool {
	switch e.Type {
	case NodeCompleted, NodeFailed, RunEnded:
		return true
	case NodeSuspended:
		return e.Request != "" || Decode[Suspension](e).Config != nil // else nobody is asked for anything
	}
	return false
}

// A Completion is how a node ended well.
type Completion struct {
	Output   json.RawMessage `json:"output"`
	Variable string          `json:"variable,omitempty"` // where the output goes
	Handle   string          `json:"handle,omitempty"`   // which edges to follow
	InputID  string          `json:"inputID,omitempty"`  // of the order that completed the node
	// NodeType is set by engines elsewhere, whose nodes are in no plan.
	NodeType string `json:"nodeType,omitempty"`
}

// A Failure is how a node ended badly.
type Failure struct {
	Error    string          `json:"error"`
	Output   json.RawMessage `json:"output,omitempty"`
	Variable string          `json:"variable,omitempty"`
	// Handle names the edges to follow in spite of the failure; without one
	// the run fails, or with Skip the item of the loop.
	Handle   string `json:"handle,omitempty"`
	Skip     bool   `json:"skip,omitempty"`
	NodeType string `json:"nodeType,omitempty"`
}

// A Retry is a failure after which the node is tried again.
type Retry struct {
	Error   string    `json:"error"`
	Attempt int       `json:"attempt"` // that failed, from 1
	Until   time.Time `json:"until"`   // when the next is made
}

// A Suspension is what a node waits for.
type Suspension struct {
	Until     *time.Time               `json:"until,omitempty"`
	Output    json.RawMessage          `json:"output,omitempty"` // of a delay, when it is over
	RequestID string                   `json:"requestID,omitempty"`
	Config    *events.CollectionConfig `json:"config,omitempty"`
	// Approval tells that the input is a decision, which names the handle.
	Approval bool   `json:"approval,omitempty"`
	Child    *Child `json:"child,omitempty"`
	NodeType string `json:"nodeType,omitempty"`
}

// A Child is a run that a node waits for.
type Child struct {
	RunID      string          `json:"runID"`
	WorkflowID string          `json:"workflowID"`
	Input      json.RawMessage `json:"input,omitempty"`
}

// A Loop is what a loop repeats its body for.
type Loop struct {
	Items         []json.RawMessage `json:"items"`
	ItemVariable  string            `json:"itemVariable,omitempty"`
	IndexVariable string            `json:"indexVariable,omitempty"`
	Pause         time.Duration     `json:"pause,omitempty"` // between items, in nanoseconds
}

// An Iteration is the beginning of a pass.
type Iteration struct {
	Index int `json:"index"`
}

// An Assignment sets a variable.
type Assignment struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	InputID string          `json:"inputID,omitempty"` // of the order that it is
}

// An Ending is how a run ended.
type Ending struct {
	Status  events.RunStatus `json:"status"`
	Error   string           `json:"error,omitempty"`
	Output  json.RawMessage  `json:"output,omitempty"`
	InputID string           `json:"inputID,omitempty"` // of the order that ended it
}

// NewEntry makes an entry that has no number yet. Its data must be of the type
// that belongs to its type.
func NewEntry(typ EntryType, node, iteration string, data any) (Entry, error) {
	e := Entry{Type: typ, Node: node, Iteration: iteration}
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			return Entry{}, err
		}
		e.Data = raw
	}
	return e, nil
}

// Decode reads the data of an entry.
func Decode[T any](e Entry) T {
	var v T
	json.Unmarshal(e.Data, &v) // written by NewEntry
	return v
}
