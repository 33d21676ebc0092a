package graph

import (
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A Definition is a graph as React Flow draws it.
type Definition struct {
	Nodes   []Node  `json:"nodes"`
	Edges   []Edge  `json:"edges"`
	Options Options `json:"workflowOptions"`
}

// A Node is one step.
type Node struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Position json.RawMessage `json:"position,omitempty"` // the editor's
	Data     nodes.Data      `json:"data"`
}

// Title names a node for people.
func (n Node) Title() string {
	if t := n.Data.String("title"); t != "" {
		return t
	}
	return n.ID
}

// OutputVariable is where a node's output goes, "" if nowhere.
func (n Node) OutputVariable() string {
	if v := n.Data.String("outputVariable"); v != "" {
		return v
	}
	return nodes.DefaultVariable(n.Type)
}

// An Edge leads from a handle of one node to another node.
type Edge struct {
	ID           string `json:"id"`
	Source       string `json:"source"`
	Target       string `json:"target"`
	SourceHandle string `json:"sourceHandle,omitempty"`
	TargetHandle string `json:"targetHandle,omitempty"`
}

// The handles that the interpreter knows.
const (
	OutputHandle    = "output" // of nodes that have only one, and of edges that name none
	ErrorHandle     = "error"  // of every node
	LoopHandle      = "loop"   // to the body of a loop
	CompletedHandle = "completed"
)

// synonyms are handles under the names that some editors give them, by type.
var synonyms = map[string]map[string]string{
	"loop":      {"done": CompletedHandle, OutputHandle: CompletedHandle},
	"dataQuery": {"success": OutputHandle},
}

// HandleOf returns the one name of a handle of nodes of a type; "" is output.
func HandleOf(typ, name string) string {
	if name == "" {
		name = OutputHandle
	}
	if s, ok := synonyms[typ][name]; ok {
		return s
	}
	return name
}

// handle is the handle that an edge leaves a node of a type by.
func (e Edge) handle(typ string) string { return HandleOf(typ, e.SourceHandle) }

// Options are what a definition says about itself.
type Options struct {
	Args []Arg `json:"args,omitempty"`
	// InputDefinitions is another name for Args.
	InputDefinitions []Arg `json:"inputDefinitions,omitempty"`
	// TimeoutSeconds is how long a run may take, waiting included; 0 is as long
	// as the server allows.
	TimeoutSeconds float64 `json:"timeoutSeconds,omitempty"`
}

// An Arg is one input of a workflow.
type Arg struct {
	Key          string `json:"key"`
	Type         string `json:"type,omitempty"`
	DefaultValue any    `json:"defaultValue,omitempty"`
	Required     bool   `json:"required,omitempty"`
}

// Inputs returns the inputs that a workflow takes.
func (d Definition) Inputs() []Arg {
	if len(d.Options.Args) > 0 {
		return d.Options.Args
	}
	return d.Options.InputDefinitions
}

// Fill applies the defaults of a definition to the values given, and checks
// that none is missing or of another type than was declared.
func (d Definition) Fill(values map[string]any) (map[string]any, error) {
	filled := maps.Clone(values)
	if filled == nil {
		filled = make(map[string]any)
	}
	for _, arg := range d.Inputs() {
		v, given := filled[arg.Key]
		switch {
		case given:
			converted, ok := arg.accept(v)
			if !ok {
				return nil, events.FieldErrorf("inputValues."+arg.Key, "got %s, want %s", typeOf(v), arg.Type)
			}
			filled[arg.Key] = converted
		case arg.DefaultValue != nil:
			filled[arg.Key] = arg.DefaultValue
		case arg.Required:
			return nil, events.FieldErrorf("inputValues."+arg.Key, "is missing")
		}
	}
	return filled, nil
}

// accept returns a value as the type that was declared. Forms deliver text, so
// text that says a number is one. Types that are not known here are labels for
// editors.
func (a Arg) accept(v any) (any, bool) {
	if v == nil {
		return nil, !a.Required
	}
	got := typeOf(v)
	switch a.Type {
	case "number", "integer":
		if text, ok := v.(string); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) // JSON has neither
		}
		return v, got == "number"
	case "boolean":
		if text, ok := v.(string); ok {
			b, err := strconv.ParseBool(strings.TrimSpace(text))
			return b, err == nil
		}
		return v, got == "boolean"
	case "string", "object", "array":
		return v, got == a.Type
	}
	return v, true
}

// typeOf is what JSON calls the type of a value.
func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case nil:
		return "null"
	}
	return "number"
}
