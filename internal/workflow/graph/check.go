package graph

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/nearest"
	"github.com/roomcast/roomcast/internal/workflow/expression"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// A Problem is something wrong with a definition.
type Problem struct {
	// Node is the id of the node at fault, "" if it is none in particular.
	Node string `json:"nodeID,omitempty"`
	// Field is the path of the setting at fault, such as nodes[2].data.url.
	Field   string `json:"field"`
	Message string `json:"message"`
}

func (p Problem) String() string {
	if p.Node == "" {
		return p.Field + ": " + p.Message
	}
	return fmt.Sprintf("%s: node %q: %s", p.Field, p.Node, p.Message)
}

// Problems are what is wrong with a definition: all, or the first hundred. As an error they are that
// of the first for clients.
type Problems []Problem

func (p Problems) Error() string { return p[0].String() }

// Unwrap returns the first as clients may see it.
func (p Problems) Unwrap() error {
	first := p[0]
	message := first.Message
	if first.Node != "" {
		message = fmt.Sprintf("node %q: %s", first.Node, first.Message)
	}
	if more := len(p) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	return events.FieldErrorf(first.Field, "%s", message)
}

// err returns the problems as an error, nil if there are none.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// AllProblems returns the problems that an error of [Definition.Check] is.
func AllProblems(err error) Problems {
	var p Problems
	errors.As(err, &p)
	return p
}

// What bounds a definition, and what is told of it.
const (
	maxNodes    = 1000
	maxEdges    = 5000
	maxIDBytes  = 200 // of a node: it stands in every entry of a log
	maxProblems = 100
	maxNesting  = 10 // of loops in each other
)

// What a node does about its own failure.
const (
	FailWorkflow      = "fail_workflow"       // the run fails, unless the node has an error edge
	ContinueRun       = "continue"            // go on without an output
	ContinueDefault   = "continue_default"    // go on with data.defaultValue
	SkipItem          = "skip_item"           // go on with the next item of the loop
	RetryThenFail     = "retry_then_fail"     // try three times
	RetryThenContinue = "retry_then_continue" // try three times
)

var errorHandlings = []string{FailWorkflow, ContinueRun, ContinueDefault, SkipItem, RetryThenFail, RetryThenContinue}

// How a node joins several incoming edges.
const (
	JoinAll = "all" // runs when all are decided and one was taken
	JoinAny = "any" // runs when the first is taken
)

// check collects what is wrong with a definition.
type check struct {
	Definition
	types    nodes.Types
	tenant   string
	index    map[string]int // of nodes by id
	problems Problems
}

func (c *check) report(node, field, format string, args ...any) {
	if len(c.problems) == maxProblems {
		return
	}
	c.problems = append(c.problems, Problem{Node: node, Field: field, Message: fmt.Sprintf(format, args...)})
}

// Check returns what is wrong with a definition of a tenant as [Problems], nil
// if nothing is.
func (d Definition) Check(types nodes.Types, tenant string) error {
	c := &check{Definition: d, types: types, tenant: tenant, index: make(map[string]int, len(d.Nodes))}
	switch {
	case len(d.Nodes) == 0:
		c.report("", "nodes", "is empty")
		return c.problems
	case len(d.Nodes) > maxNodes:
		c.report("", "nodes", "has more than %d nodes", maxNodes)
		return c.problems
	case len(d.Edges) > maxEdges:
		c.report("", "edges", "has more than %d edges", maxEdges)
		return c.problems
	}
	c.checkNodes()
	c.checkOptions()
	if c.checkEdges() { // else there is no graph to look at
		c.checkShape()
	}
	return c.problems.err()
}

func (c *check) checkNodes() {
	starts := 0
	for i, n := range c.Nodes {
		at := fmt.Sprintf("nodes[%d]", i)
		if n.ID == "" {
			c.report("", at+".id", "is missing")
		} else if len(n.ID) > maxIDBytes || strings.ContainsFunc(n.ID, func(r rune) bool { return !unicode.IsPrint(r) }) {
			c.report("", at+".id", "has more than %d bytes, or characters that cannot be seen", maxIDBytes)
			c.index[n.ID] = i
		} else if _, twice := c.index[n.ID]; twice {
			c.report("", at+".id", "%q is used twice", n.ID)
		} else {
			c.index[n.ID] = i
		}
		if n.Type == "start" {
			starts++
		}
		c.checkNode(at, n)
	}
	if starts != 1 {
		c.report("", "nodes", "has %d start nodes, exactly one is needed", starts)
	}
}

func (c *check) checkNode(at string, n Node) {
	typ, ok := c.types[n.Type]
	if !ok {
		known := slices.Sorted(maps.Keys(c.types))
		hint := ""
		if name := nearest.To(n.Type, known, 2); name != "" {
			hint = fmt.Sprintf(" (did you mean %s?)", name)
		}
		c.report(n.ID, at+".type", "unknown type %q, not one of %s%s", n.Type, strings.Join(known, ", "), hint)
		return
	}
	for _, p := range nodes.Check(typ, c.tenant, n.Data) {
		c.report(n.ID, at+".data."+p.Field, "%s", p.Message)
	}
	templates := maps.Clone(n.Data)
	delete(templates, "code") // has braces of its own
	if field, err := expression.CheckTemplates(map[string]any(templates)); err != nil {
		c.report(n.ID, at+".data"+field, "%v", err)
	}
	if h := n.Data.String("errorHandling"); h != "" && !slices.Contains(errorHandlings, h) {
		c.report(n.ID, at+".data.errorHandling", "%q is not one of %s", h, strings.Join(errorHandlings, ", "))
	}
	if goesOn(n.Data.String("errorHandling")) && !canGoOn(n.Type, typ.Handles(n.Data)) {
		c.report(n.ID, at+".data.errorHandling", "%q goes on by the handle output, which a node of the type %s does not have: use an edge from error", n.Data.String("errorHandling"), n.Type)
	}
	switch n.Data.String("joinMode") {
	case "", JoinAll, JoinAny:
	default:
		c.report(n.ID, at+".data.joinMode", "%q is not all or any", n.Data.String("joinMode"))
	}
}

// goesOn reports whether a node is left as if it had not failed.
func goesOn(handling string) bool {
	return handling == ContinueRun || handling == ContinueDefault || handling == RetryThenContinue
}

// canGoOn reports whether there is a handle for that.
func canGoOn(typ string, handles []string) bool {
	return len(handles) == 0 || typ == LoopType || slices.Contains(handles, OutputHandle)
}

// checkEdges reports whether all edges connect nodes.
func (c *check) checkEdges() bool {
	connected := len(c.index) == len(c.Nodes)
	for i, e := range c.Edges {
		for _, end := range []struct{ name, id string }{{"source", e.Source}, {"target", e.Target}} {
			if _, ok := c.index[end.id]; !ok {
				c.report("", fmt.Sprintf("edges[%d].%s", i, end.name), "there is no node %q", end.id)
				connected = false
			}
		}
		at, ok := c.index[e.Source]
		if !ok {
			continue
		}
		source := c.Nodes[at]
		typ, ok := c.types[source.Type]
		if !ok {
			continue
		}
		handles := append(slices.Clone(typ.Handles(source.Data)), ErrorHandle)
		if !slices.Contains(handles, e.handle(source.Type)) {
			c.report(source.ID, fmt.Sprintf("edges[%d].sourceHandle", i), "has no handle %q, but %s", e.handle(source.Type), strings.Join(handles, ", "))
		}
	}
	return connected
}

func (c *check) checkOptions() {
	for i, arg := range c.Inputs() {
		at := fmt.Sprintf("workflowOptions.args[%d]", i)
		if arg.Key == "" {
			c.report("", at+".key", "is missing")
		}
		if _, ok := arg.accept(arg.DefaultValue); !ok && arg.DefaultValue != nil {
			c.report("", at+".defaultValue", "got %s, want %s", typeOf(arg.DefaultValue), arg.Type)
		}
	}
	if c.Options.TimeoutSeconds < 0 {
		c.report("", "workflowOptions.timeoutSeconds", "is less than zero, which is no time-out")
	}
}

// checkShape reports cycles that no loop closes and bodies of loops that are
// not closed in themselves.
func (c *check) checkShape() {
	p := NewPlan(c.Definition)
	for _, s := range p.shape.strays {
		c.report(c.Nodes[s.node].ID, s.field(), "%s", s.message)
	}
	for i, n := range c.Nodes {
		if n.Data.String("errorHandling") == SkipItem && p.Nodes[i].Loop < 0 {
			c.report(n.ID, fmt.Sprintf("nodes[%d].data.errorHandling", i), "skip_item is for nodes in the body of a loop")
		}
		if n.Type == LoopType && p.nesting(i) == maxNesting {
			c.report(n.ID, fmt.Sprintf("nodes[%d]", i), "is in %d loops already, which is as deep as loops may be nested", maxNesting)
		}
	}
	if node, found := p.cycle(); found {
		c.report("", "edges", "node %q is part of a cycle that no loop node closes", c.Nodes[node].ID)
	}
}
