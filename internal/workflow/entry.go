package workflow

import (
	"encoding/json"
	"time"

	"github.com/roomcast/roomcast/events"
)

// An Entry is one thing that happened in a run.
type Entry struct {
	Seq  uint64          `json:"seq"` // from 1, without gaps
	Type EntryType       `json:"type"`
	Node string          `json:"nodeID,omitempty"`
	Data json.RawMessage `json:"data,omitempty"` // of the type that belongs to Type
	At   time.Time       `json:"at"`
	// Request is the request for input that the entry makes, by which a store
	// finds the run. It is in Data too, and not read back.
	Request string `json:"-"`
}

// EntryType says what happened.
type EntryType string

// The types of entries, and what their data is.
const (
	InputSet       EntryType = "INPUT_SET"       // the input values
	NodeDispatched EntryType = "NODE_DISPATCHED" // none
	NodeCompleted  EntryType = "NODE_COMPLETED"  // completion
	NodeFailed     EntryType = "NODE_FAILED"     // failure
	NodeSuspended  EntryType = "NODE_SUSPENDED"  // suspension
	SystemSet      EntryType = "SYSTEM_SET"      // assignment
	RunEnded       EntryType = "RUN_ENDED"       // ending
)

type completion struct {
	Output   any    `json:"output"`
	Variable string `json:"variable,omitempty"` // where the output goes
	Handle   string `json:"handle,omitempty"`   // which edges to follow
	InputID  string `json:"inputID,omitempty"`  // of the input that completed the node
}

type failure struct {
	Error    string `json:"error"`
	Output   any    `json:"output,omitempty"`
	Variable string `json:"variable,omitempty"`
	// Handle names the edges to follow in spite of the failure; without one
	// the run fails.
	Handle string `json:"handle,omitempty"`
}

type suspension struct {
	Until     *time.Time               `json:"until,omitempty"`
	Output    any                      `json:"output,omitempty"` // of a delay, when it is over
	RequestID string                   `json:"requestID,omitempty"`
	Config    *events.CollectionConfig `json:"config,omitempty"`
}

type assignment struct {
	Key     string `json:"key"`
	Value   any    `json:"value"`
	InputID string `json:"inputID,omitempty"` // of the input that it is
}

type ending struct {
	Status events.RunStatus `json:"status"`
	Error  string           `json:"error,omitempty"`
	Output any              `json:"output,omitempty"`

	InputID string `json:"inputID,omitempty"` // of the order that stopped the run
}

// newEntry makes an entry that has no number yet. Its data is always
// encodable: it came from JSON or from node types.
func newEntry(typ EntryType, node string, data any) (Entry, error) {
	e := Entry{Type: typ, Node: node}
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			return Entry{}, err
		}
		e.Data = raw
	}
	return e, nil
}

// decode reads the data of an entry.
func decode[T any](e Entry) T {
	var v T
	json.Unmarshal(e.Data, &v) // written by newEntry
	return v
}
