// Package nodes holds the types of workflow nodes: what their settings are and
// what they do. A type is a file. Everything that touches the world outside a
// run happens here; the rest of the engine is arithmetic on a log.
package nodes

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/sandbox"
)

// A Type is what all nodes of one type have in common. Its methods may be
// called concurrently.
type Type interface {
	// Check reports what is wrong with the settings of a node.
	Check(d Data) []Problem
	// Handles returns the names of the edges that can lead out of a node,
	// besides "error".
	Handles(d Data) []string
	// Run does what the node is for. An error fails the node; its text is for
	// the author of the workflow.
	Run(ctx context.Context, call Call) (Result, error)
	// Pure reports whether Run does nothing but compute: nobody could tell that
	// it ran twice, so no record is needed before it begins.
	Pure() bool
}

// A Call is one execution of a node.
type Call struct {
	RunID, NodeID string
	Tenant        string
	// User is who started the run.
	User string
	// Key names this execution of the node, and is the same whenever it is
	// tried again: printable, and of at most 64 bytes.
	Key string
	// Data are the settings with their templates filled in, Source as written.
	Data, Source Data
	// Vars are the variables of the run. They must not be changed.
	Vars map[string]any
	Now  time.Time
}

// A Result is what became of a call.
type Result struct {
	Output any
	// Handle names the edges to follow; empty is "output".
	Handle string
	// Suspend, when set, means that the node is not done yet.
	Suspend *Suspension
	// Loop, when set, means that the body of the node is to be repeated.
	Loop *Loop
}

// A Suspension says what a node waits for: a moment, an input, an input until a
// moment, or another run.
type Suspension struct {
	Until time.Time
	Input *Input
	// Approval means that the input is a decision, which names the handle.
	Approval bool
	Child    *Child
}

// A Child is a run of another workflow of the same tenant.
type Child struct {
	WorkflowID string
	Input      map[string]any
}

// A Loop says what the body of a node is repeated for.
type Loop struct {
	Items                       []any
	ItemVariable, IndexVariable string        // "" is none
	Pause                       time.Duration // between items
}

// Input is what a node asks people for.
type Input struct {
	Type           string // form or api
	Title          string
	Description    string
	FormSchema     any
	FormUISchema   any
	OutputVariable string
	ExpiryMinutes  int
}

// A Problem is something wrong with one setting.
type Problem struct {
	Field   string
	Message string
}

func problem(field, format string, args ...any) []Problem {
	return []Problem{{field, fmt.Sprintf(format, args...)}}
}

// Options configure the types that need to be told something.
type Options struct {
	// AllowPrivate lets http nodes reach private addresses.
	AllowPrivate bool
	// MaxHTTPBody bounds the answers that http nodes read, in bytes. Default 1
	// MiB.
	MaxHTTPBody int64
	// MaxHTTPTimeout bounds the time of their requests. Default 120 s.
	MaxHTTPTimeout time.Duration
	// Data is what dataQuery nodes ask; nil is nothing.
	Data DataSources
	// Assistant answers ai nodes; nil is nobody.
	Assistant Assistant
	// JavaScript are the limits of javascript nodes.
	JavaScript sandbox.Options
}

// single is the one handle of most types.
var single = []string{"output"}

// All returns every type by its name.
func All(opts Options) Types {
	return Types{
		"start":          start{},
		"end":            end{},
		"condition":      condition{},
		"delay":          delay{},
		"transform":      transform{},
		"dataCollection": dataCollection{},
		"approval":       approval{},
		"loop":           loop{},
		"subWorkflow":    subWorkflow{},
		"http":           newHTTP(opts),
		"dataQuery":      dataQuery{opts.Data},
		"ai":             ai{opts.Assistant},
		"javascript":     javascript{sandbox.New(opts.JavaScript)},
	}
}

// DefaultVariable is where the output of a type goes when the node does not
// say; empty is nowhere.
func DefaultVariable(typ string) string {
	switch typ {
	case "transform":
		return "transformResult"
	case "http":
		return "httpResult"
	case "dataQuery":
		return "queryResult"
	case "ai":
		return "aiResult"
	case "dataCollection":
		return "collectedData"
	case "javascript":
		return "scriptResult"
	case "approval":
		return "approvalResult"
	case "loop":
		return "loopResults"
	case "subWorkflow":
		return "subWorkflowResult"
	}
	return ""
}
