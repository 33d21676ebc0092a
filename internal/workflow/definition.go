package workflow

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/workflow/expression"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A Workflow is a definition that can be run.
type Workflow struct {
	ID         string     `json:"workflowID"`
	Tenant     string     `json:"tenantID"`
	Title      string     `json:"title"`
	Definition Definition `json:"definition"`
	CreatedBy  string     `json:"createdBy"`
	CreatedAt  time.Time  `json:"createdAt"`
	UpdatedAt  time.Time  `json:"updatedAt"`
}

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

// title names a node for people.
func (n Node) title() string {
	if t := n.Data.String("title"); t != "" {
		return t
	}
	return n.ID
}

// outputVariable is where a node's output goes, "" if nowhere.
func (n Node) outputVariable() string {
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

// defaultHandle is the handle of nodes that have only one.
const defaultHandle = "output"

func (e Edge) handle() string {
	if e.SourceHandle == "" {
		return defaultHandle
	}
	return e.SourceHandle
}

// Options are what a definition says about itself.
type Options struct {
	Args []Arg `json:"args,omitempty"`
	// InputDefinitions is another name for Args.
	InputDefinitions []Arg `json:"inputDefinitions,omitempty"`
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

// fill applies the defaults of a definition to the values given, and checks
// that none is missing or of another type than was declared.
func (d Definition) fill(values map[string]any) (map[string]any, error) {
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

// checkInputs checks the declared inputs.
func (d Definition) checkInputs() error {
	for i, arg := range d.Inputs() {
		at := fmt.Sprintf("workflowOptions.args[%d]", i)
		if arg.Key == "" {
			return events.FieldErrorf(at+".key", "is missing")
		}
		if _, ok := arg.accept(arg.DefaultValue); !ok && arg.DefaultValue != nil {
			return events.FieldErrorf(at+".defaultValue", "got %s, want %s", typeOf(arg.DefaultValue), arg.Type)
		}
	}
	return nil
}

// maxNodes bounds a definition.
const maxNodes = 1000

// check reports the first thing that is wrong with a definition, naming the
// node and the field.
func (d Definition) check(types map[string]nodes.Type) error {
	if len(d.Nodes) == 0 {
		return events.FieldErrorf("nodes", "is empty")
	}
	if len(d.Nodes) > maxNodes {
		return events.FieldErrorf("nodes", "has more than %d nodes", maxNodes)
	}
	known := make(map[string]int, len(d.Nodes))
	starts := 0
	for i, n := range d.Nodes {
		at := fmt.Sprintf("nodes[%d]", i)
		if n.ID == "" {
			return events.FieldErrorf(at+".id", "is missing")
		}
		if _, twice := known[n.ID]; twice {
			return events.FieldErrorf(at+".id", "%q is used twice", n.ID)
		}
		known[n.ID] = i
		if n.Type == "start" {
			starts++
		}
		if err := n.check(at, types); err != nil {
			return err
		}
	}
	if starts != 1 {
		return events.FieldErrorf("nodes", "has %d start nodes, exactly one is needed", starts)
	}
	for i, e := range d.Edges {
		for _, end := range []struct{ name, id string }{{"source", e.Source}, {"target", e.Target}} {
			if _, ok := known[end.id]; !ok {
				return events.FieldErrorf(fmt.Sprintf("edges[%d].%s", i, end.name), "there is no node %q", end.id)
			}
		}
		source := d.Nodes[known[e.Source]]
		handles := append(types[source.Type].Handles(source.Data), "error")
		if !slices.Contains(handles, e.handle()) {
			return events.FieldErrorf(fmt.Sprintf("edges[%d].sourceHandle", i), "node %q has no handle %q, but %s", e.Source, e.handle(), strings.Join(handles, ", "))
		}
	}
	if err := d.checkInputs(); err != nil {
		return err
	}
	return d.checkCycles(known)
}

func (n Node) check(at string, types map[string]nodes.Type) error {
	typ, ok := types[n.Type]
	if !ok {
		return events.FieldErrorf(at+".type", "node %q has the unknown type %q, not one of %s", n.ID, n.Type, strings.Join(slices.Sorted(maps.Keys(types)), ", "))
	}
	if problems := typ.Check(n.Data); len(problems) > 0 {
		return events.FieldErrorf(at+".data."+problems[0].Field, "node %q: %s", n.ID, problems[0].Message)
	}
	if field, err := expression.CheckTemplates(map[string]any(n.Data)); err != nil {
		return events.FieldErrorf(at+".data"+field, "node %q: %v", n.ID, err)
	}
	switch n.Data.String("errorHandling") {
	case "", failWorkflow, continueRun, continueDefault, retryThenFail, retryThenContinue:
	default:
		return events.FieldErrorf(at+".data.errorHandling", "node %q: %q is not one of %s", n.ID, n.Data.String("errorHandling"),
			strings.Join([]string{failWorkflow, continueRun, continueDefault, retryThenFail, retryThenContinue}, ", "))
	}
	switch n.Data.String("joinMode") {
	case "", joinAll, joinAny:
	default:
		return events.FieldErrorf(at+".data.joinMode", "node %q: %q is not all or any", n.ID, n.Data.String("joinMode"))
	}
	return nil
}

// checkCycles refuses graphs in which a node can come before itself.
func (d Definition) checkCycles(index map[string]int) error {
	next := make([][]int, len(d.Nodes))
	waiting := make([]int, len(d.Nodes))
	for _, e := range d.Edges {
		next[index[e.Source]] = append(next[index[e.Source]], index[e.Target])
		waiting[index[e.Target]]++
	}
	var ready []int
	for i, n := range waiting {
		if n == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for _, j := range next[i] {
			if waiting[j]--; waiting[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	for i, n := range waiting {
		if n > 0 {
			return events.FieldErrorf("edges", "node %q is part of a cycle", d.Nodes[i].ID)
		}
	}
	return nil
}
