package expression

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// maxLength bounds the source of one expression, in bytes.
const maxLength = 10_000

// compiled is an expression made ready to evaluate, any number of times and
// concurrently: the names of a path, or a program.
type compiled struct {
	path    []string
	program *vm.Program
}

// expressions remembers expressions by their source. Nothing in it depends on
// whose they are.
var expressions = newCache(compile)

// compile checks an expression. Names are not checked: variables come into
// being while a workflow runs.
func compile(source string) (compiled, error) {
	if len(source) > maxLength {
		return compiled{}, fmt.Errorf("expression is longer than %d bytes", maxLength)
	}
	source = strings.TrimSpace(source)
	if names, ok := path(source); ok {
		return compiled{path: names}, nil
	}
	if err := checkPatterns(source); err != nil {
		return compiled{}, err
	}
	b := bounder{depths: map[*ast.PredicateNode]int{}}
	program, err := expr.Compile(source, append(slices.Clip(options), expr.Env(map[string]any{}), expr.AllowUndefinedVariables(), expr.Patch(&b))...)
	if err == nil && b.tooDeep {
		err = fmt.Errorf("functions with a condition, such as all and map, are nested more than %d deep", maxDepth)
	}
	return compiled{program: program}, shorten(err)
}

// Names that the compiler puts into expressions. No expression can say them,
// for their blank.
const (
	guardName = "the guard"
	stepFunc  = "a step"
	plusFunc  = "a sum"
	keepFunc  = "a value kept"
	matchFunc = "a match"
)

// hidden is the name of the function that a bounded one is replaced with.
func hidden(name string) string { return name + " " }

// options are what bounds change about the language. What counts takes the
// guard of the evaluation as its first argument, so that programs have none of
// their own.
var options = func() []expr.Option {
	opts := []expr.Option{
		guarded(stepFunc, func(g *guard, _ []any) (any, error) { return true, g.step() }, new(func(any) bool)),
		guarded(plusFunc, (*guard).plus, new(func(any, any, any) any)),
		guarded(keepFunc, func(g *guard, args []any) (any, error) { return args[0], g.grow(shallow(args[0])) }, new(func(any, any) any)),
		guarded(matchFunc, (*guard).matches, new(func(any, any, any) bool)),
	}
	for name, f := range bounded {
		// The first is there for its types, which are known while calls are
		// replaced by calls of the second.
		unguarded := func(...any) (any, error) { return nil, fmt.Errorf("%s was not replaced", name) }
		opts = append(opts, expr.DisableBuiltin(name), expr.Function(name, unguarded, f.types...), guarded(hidden(name), f.call, withGuard(f.types)...))
	}
	return opts
}()

func guarded(name string, fn func(g *guard, args []any) (any, error), types ...any) expr.Option {
	return expr.Function(name, func(args ...any) (any, error) { return fn(args[0].(*guard), args[1:]) }, types...)
}

// withGuard returns types of functions, each with one more argument in front.
func withGuard(types []any) []any {
	with := make([]any, len(types))
	for i, t := range types {
		f := reflect.TypeOf(t).Elem()
		in := []reflect.Type{reflect.TypeFor[any]()}
		for n := range f.NumIn() {
			in = append(in, f.In(n))
		}
		with[i] = reflect.New(reflect.FuncOf(in, []reflect.Type{f.Out(0)}, f.IsVariadic())).Interface()
	}
	return with
}

// A bounder makes an expression count what it does: conditions their elements,
// and what builds text or lists its bytes.
type bounder struct {
	tooDeep bool
	depths  map[*ast.PredicateNode]int
}

// Visit implements [ast.Visitor].
func (b *bounder) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" { // would have the guard in it
			ast.Patch(node, &ast.MapNode{Pairs: []ast.Node{pair("ctx"), pair("input")}})
		}
	case *ast.PredicateNode:
		b.visitPredicate(n)
	case *ast.BinaryNode:
		switch {
		case n.Operator == "+" && maybeText(n.Left) && maybeText(n.Right):
			ast.Patch(node, call(plusFunc, n.Left, n.Right))
		case n.Operator == "matches":
			ast.Patch(node, call(matchFunc, n.Left, n.Right))
		}
	case *ast.BuiltinNode:
		if !takesPredicate(n) && !scalar[n.Name] {
			ast.Patch(node, call(keepFunc, n))
		}
	case *ast.CallNode:
		b.visitCall(node, n)
	}
}

func (b *bounder) visitCall(node *ast.Node, n *ast.CallNode) {
	switch callee := n.Callee.(type) {
	case *ast.MemberNode:
		ast.Patch(node, call(keepFunc, n))
	case *ast.IdentifierNode:
		if _, ok := bounded[callee.Value]; ok {
			ast.Patch(node, call(hidden(callee.Value), n.Arguments...))
		}
	}
}

// visitPredicate puts a step before a condition, and measures how deep it is.
// Inner nodes are visited first.
func (b *bounder) visitPredicate(n *ast.PredicateNode) {
	deepest := deepest{depths: b.depths}
	ast.Walk(&n.Node, &deepest)
	b.depths[n] = deepest.depth + 1
	b.tooDeep = b.tooDeep || deepest.depth+1 > maxDepth
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

// call is a call of a guarded function.
func call(name string, args ...ast.Node) *ast.CallNode {
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: append([]ast.Node{&ast.IdentifierNode{Value: guardName}}, args...)}
}

func pair(name string) ast.Node {
	return &ast.PairNode{Key: &ast.StringNode{Value: name}, Value: &ast.IdentifierNode{Value: name}}
}

func takesPredicate(n *ast.BuiltinNode) bool {
	for _, arg := range n.Arguments {
		if _, ok := arg.(*ast.PredicateNode); ok {
			return true
		}
	}
	return false
}

// checkPatterns checks the regular expressions in an expression. The compiler
// would check them too, and take as long for it as it takes.
func checkPatterns(source string) error {
	if !strings.Contains(source, "matches") {
		return nil
	}
	tree, err := parser.Parse(source)
	if err != nil {
		return shorten(err)
	}
	var c patternChecker
	ast.Walk(&tree.Node, &c)
	return c.err
}

type patternChecker struct{ err error }

// Visit implements [ast.Visitor].
func (c *patternChecker) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok || n.Operator != "matches" || c.err != nil {
		return
	}
	if text, ok := n.Right.(*ast.StringNode); ok {
		c.err = CheckPattern(text.Value)
	}
}
