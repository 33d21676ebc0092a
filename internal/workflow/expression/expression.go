// Package expression evaluates what authors write into workflows: expressions,
// and templates that contain them between {{ and }}. It has no access to
// anything but the variables it is given, and cannot loop for ever.
package expression

import (
	"encoding/json"
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

// memoryBudget bounds the values that one evaluation may build; its unit is
// elements, as the engine counts them.
const memoryBudget = 1_000_000

// compile checks an expression. Names are not checked: variables come into
// being while a workflow runs.
func compile(source string) (*vm.Program, error) {
	if len(source) > maxLength {
		return nil, fmt.Errorf("expression is longer than %d bytes", maxLength)
	}
	return expr.Compile(source, expr.Env(map[string]any{}), expr.AllowUndefinedVariables())
}

// Check reports what is wrong with an expression without running it.
func Check(source string) error {
	_, err := compile(source)
	return shorten(err)
}

// Eval returns the value of an expression. A name that does not exist is nil.
func Eval(source string, vars map[string]any) (any, error) {
	source = strings.TrimSpace(source)
	if value, ok := path(source, vars); ok {
		return value, nil
	}
	program, err := compile(source)
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

// Resolve returns a copy of a value in which every template has been replaced.
// A string that is one template and nothing else becomes its value, whatever
// its type; inside a longer string a value is written as text.
func Resolve(value any, vars map[string]any) (any, error) {
	switch v := value.(type) {
	case string:
		return resolveString(v, vars)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			resolved, err := Resolve(v[i], vars)
			if err != nil {
				return nil, err
			}
			out[i] = resolved
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			resolved, err := Resolve(v[k], vars)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = resolved
		}
		return out, nil
	}
	return value, nil
}

func resolveString(s string, vars map[string]any) (any, error) {
	before, source, after, found, err := split(s)
	if err != nil || !found {
		return s, err
	}
	value, err := Eval(source, vars)
	if err != nil || before == "" && after == "" {
		return value, err
	}
	rest, err := resolveString(after, vars)
	if err != nil {
		return nil, err
	}
	return before + Text(value) + Text(rest), nil
}

// split cuts a string at its first template.
func split(s string) (before, source, after string, found bool, err error) {
	before, rest, found := strings.Cut(s, "{{")
	if !found {
		return s, "", "", false, nil
	}
	source, after, closed := strings.Cut(rest, "}}")
	if !closed {
		return "", "", "", false, fmt.Errorf("template is not closed: %q", s)
	}
	return before, source, after, true, nil
}

// Text writes a value as it stands inside a longer string.
func Text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(b)
}

// CheckTemplates reports the first template in a value that cannot be
// evaluated, and where it stands.
func CheckTemplates(value any) (field string, err error) {
	switch v := value.(type) {
	case string:
		for {
			_, source, after, found, err := split(v)
			if err != nil || !found {
				return "", err
			}
			if err := Check(source); err != nil {
				return "", err
			}
			v = after
		}
	case []any:
		for i := range v {
			if field, err := CheckTemplates(v[i]); err != nil {
				return fmt.Sprintf("[%d]%s", i, field), err
			}
		}
	case map[string]any:
		for k := range v {
			if field, err := CheckTemplates(v[k]); err != nil {
				return "." + k + field, err
			}
		}
	}
	return "", nil
}
