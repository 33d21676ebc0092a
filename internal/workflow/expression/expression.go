// Package expression evaluates what authors write into workflows: expressions,
// and templates that contain them between {{ and }}. It has no access to
// anything but the variables it is given, and an end: an evaluation is bounded
// in steps, time and memory, and stops when its context does.
package expression

import (
	"context"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// Env is what expressions can name: ctx, the variables of a run, and input,
// which is short for ctx.input.
func Env(vars map[string]any) map[string]any {
	return map[string]any{"ctx": vars, "input": vars["input"]}
}

// maxLength bounds the source of one expression, in bytes.
const maxLength = 10_000

// compile checks an expression. Names are not checked: variables come into
// being while a workflow runs.
func (g *guard) compile(source string) (*vm.Program, error) {
	if len(source) > maxLength {
		return nil, fmt.Errorf("expression is longer than %d bytes", maxLength)
	}
	program, err := expr.Compile(source, append(g.options(), expr.Env(map[string]any{}), expr.AllowUndefinedVariables())...)
	if err == nil && g.tooDeep {
		err = fmt.Errorf("functions with a condition, such as all and map, are nested more than %d deep", maxDepth)
	}
	return program, err
}

// Check reports what is wrong with an expression without running it.
func Check(source string) error {
	_, err := (&guard{ctx: context.Background()}).compile(source)
	return shorten(err)
}

// Eval returns the value of an expression. A name that does not exist is nil.
func Eval(ctx context.Context, source string, vars map[string]any) (any, error) {
	g, done := newGuard(ctx)
	defer done()
	value, err := g.eval(source, vars)
	if err == nil {
		err = g.checkResult(value)
	}
	return value, err
}

func (g *guard) eval(source string, vars map[string]any) (any, error) {
	if err := g.interrupted(); err != nil {
		return nil, err
	}
	source = strings.TrimSpace(source)
	if value, ok := path(source, vars); ok {
		return value, nil
	}
	program, err := g.compile(source)
	if err != nil {
		return nil, shorten(err)
	}
	machine := vm.VM{MemoryBudget: memoryBudget}
	value, err := machine.Run(program, Env(vars))
	return value, shorten(err)
}

// shorten keeps the first line of an error: the others draw an arrow.
func shorten(err error) error {
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return fmt.Errorf("%s", line)
}

// path evaluates what is only a path, such as ctx.order.items: the common
// case, and the one that may name what is not there.
func path(source string, vars map[string]any) (any, bool) {
	parts := strings.Split(source, ".")
	var value any
	switch parts[0] {
	case "ctx":
		value = vars
	case "input":
		value = vars["input"]
	default:
		return nil, false
	}
	for _, name := range parts[1:] {
		if !identifier(name) {
			return nil, false
		}
		m, _ := value.(map[string]any)
		value = m[name]
	}
	return value, true
}

func identifier(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
