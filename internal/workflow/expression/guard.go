package expression

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
)

// What one evaluation may use. Whoever can write a workflow can write
// all(a, all(a, all(a, …))) or repeat(repeat(…)): without bounds one
// expression would take a processor, or all memory, for ever.
const (
	maxDepth     = 4               // of functions with a condition inside each other
	maxSteps     = 1_000_000       // elements that such functions look at
	maxTime      = 2 * time.Second // of everything in one value
	maxBuilt     = 16 << 20        // bytes of text and lists built on the way
	maxResult    = 4 << 20         // bytes of the result, as text
	memoryBudget = 1_000_000       // elements, as the engine counts them
)

var (
	errSteps  = fmt.Errorf("the expression looks at more than %d elements", maxSteps)
	errTime   = fmt.Errorf("the expression takes longer than %v", maxTime)
	errMemory = fmt.Errorf("the expression builds more than %d bytes", maxBuilt)
	errResult = fmt.Errorf("the value is larger than %d bytes", maxResult)
)

// A guard bounds the evaluation of one value.
type guard struct {
	ctx     context.Context
	steps   int
	built   int
	tooDeep bool
	depths  map[*ast.PredicateNode]int
}

func newGuard(ctx context.Context) (*guard, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime, errTime)
	return &guard{ctx: ctx}, cancel
}

// interrupted says why the evaluation must end, nil if it need not.
func (g *guard) interrupted() error {
	if g.ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(g.ctx); errors.Is(cause, errTime) {
		return cause
	}
	return errors.New("the evaluation was stopped")
}

// step counts one element.
func (g *guard) step() error {
	g.steps++
	if g.steps > maxSteps {
		return errSteps
	}
	if g.steps%64 == 0 { // asking costs more than counting
		return g.interrupted()
	}
	return nil
}

// grow counts what is about to be built.
func (g *guard) grow(bytes int) error {
	if bytes < 0 || bytes > maxBuilt-g.built {
		return errMemory
	}
	g.built += bytes
	return nil
}

// checkResult refuses what is small in memory, where parts are shared, and
// huge once it is written out.
func (g *guard) checkResult(value any) error {
	if sizeOf(value, maxResult) > maxResult {
		return errResult
	}
	return nil
}

// Names of functions that the guard puts into expressions.
const (
	stepFunc = "__step"
	plusFunc = "__plus"
	keepFunc = "__keep"
)

// options are what the guard changes about the language: conditions count
// their elements, and what builds text or lists counts bytes.
func (g *guard) options() []expr.Option {
	opts := []expr.Option{
		expr.Patch(g),
		expr.Function(stepFunc, func(...any) (any, error) { return true, g.step() }, new(func() bool)),
		expr.Function(plusFunc, g.plus, new(func(any, any) any)),
		expr.Function(keepFunc, func(args ...any) (any, error) { return args[0], g.grow(shallow(args[0])) }, new(func(any) any)),
	}
	for name, f := range bounded {
		opts = append(opts, expr.DisableBuiltin(name), expr.Function(name, func(args ...any) (any, error) { return f.call(g, args) }, f.types...))
	}
	return opts
}

// Visit implements [ast.Visitor].
func (g *guard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		g.visitPredicate(n)
	case *ast.BinaryNode:
		if n.Operator == "+" && maybeText(n.Left) && maybeText(n.Right) {
			ast.Patch(node, call(plusFunc, n.Left, n.Right))
		}
	case *ast.BuiltinNode:
		if !takesPredicate(n) && !scalar[n.Name] {
			ast.Patch(node, call(keepFunc, n))
		}
	case *ast.CallNode:
		if _, method := n.Callee.(*ast.MemberNode); method {
			ast.Patch(node, call(keepFunc, n))
		}
	}
}

// visitPredicate puts a step before a condition, and measures how deep it is.
// Inner nodes are visited first.
func (g *guard) visitPredicate(n *ast.PredicateNode) {
	deepest := deepest{depths: g.depths}
	ast.Walk(&n.Node, &deepest)
	if g.depths == nil {
		g.depths = make(map[*ast.PredicateNode]int)
	}
	g.depths[n] = deepest.depth + 1
	g.tooDeep = g.tooDeep || deepest.depth+1 > maxDepth
	n.Node = &ast.SequenceNode{Nodes: []ast.Node{call(stepFunc), n.Node}}
}

type deepest struct {
	depths map[*ast.PredicateNode]int
	depth  int
}

// Visit implements [ast.Visitor].
func (d *deepest) Visit(node *ast.Node) {
	if n, ok := (*node).(*ast.PredicateNode); ok {
		d.depth = max(d.depth, d.depths[n])
	}
}

func call(name string, args ...ast.Node) *ast.CallNode {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

func takesPredicate(n *ast.BuiltinNode) bool {
	for _, arg := range n.Arguments {
		if _, ok := arg.(*ast.PredicateNode); ok {
			return true
		}
	}
	return false
}
