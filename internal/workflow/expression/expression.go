// Package expression evaluates what authors write into workflows: expressions,
// and templates that contain them between {{ and }}. It has no access to
// anything but the variables it is given, and an end: an evaluation is bounded
// in steps, time and memory, and stops when its context does.
package expression

import (
	"context"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/vm"
)

// Env is what expressions can name: ctx, the variables of a run, and input,
// which is short for ctx.input.
func Env(vars map[string]any) map[string]any {
	return map[string]any{"ctx": vars, "input": vars["input"]}
}

// Check reports what is wrong with an expression without running it.
func Check(source string) error {
	_, err := expressions.get(source)
	return err
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
	c, err := expressions.get(source)
	if err != nil {
		return nil, err
	}
	if c.program == nil {
		return follow(c.path, vars), nil
	}
	env := Env(vars)
	env[guardName] = g
	machine := vm.VM{MemoryBudget: memoryBudget}
	value, err := machine.Run(c.program, env)
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

// path returns the names of what is only a path, such as ctx.order.items: the
// common case, and the one that may name what is not there.
func path(source string) ([]string, bool) {
	names := strings.Split(source, ".")
	if names[0] != "ctx" && names[0] != "input" {
		return nil, false
	}
	for _, name := range names[1:] {
		if !identifier(name) {
			return nil, false
		}
	}
	return names, true
}

func follow(path []string, vars map[string]any) any {
	value := any(vars)
	if path[0] == "input" {
		value = vars["input"]
	}
	for _, name := range path[1:] {
		m, _ := value.(map[string]any)
		value = m[name]
	}
	return value
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
