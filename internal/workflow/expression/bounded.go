package expression

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/vm/runtime"
)

// scalar are the functions whose result is small whatever they are given.
var scalar = map[string]bool{
	"len": true, "type": true, "abs": true, "ceil": true, "floor": true, "round": true, "int": true, "float": true,
	"indexOf": true, "lastIndexOf": true, "hasPrefix": true, "hasSuffix": true, "max": true, "min": true, "mean": true,
	"median": true, "sum": true, "now": true, "duration": true, "date": true, "timezone": true, "first": true, "last": true,
	"get": true, "bitand": true, "bitor": true, "bitxor": true, "bitnand": true, "bitnot": true, "bitshl": true, "bitshr": true, "bitushr": true,
}

// A boundedFunc takes the place of a function of the language that can build,
// from little, so much that counting afterwards is too late.
type boundedFunc struct {
	call  func(g *guard, args []any) (any, error)
	types []any
}

var bounded = map[string]boundedFunc{
	"split":      {split, []any{new(func(string, string) []string), new(func(string, string, int) []string)}},
	"splitAfter": {splitAfter, []any{new(func(string, string) []string), new(func(string, string, int) []string)}},
	"fromJSON":   {fromJSON, []any{new(func(string) any)}},
	"repeat":     {repeat, []any{new(func(string, int) string)}},
	"replace":    {replace, []any{new(func(string, string, string) string), new(func(string, string, string, int) string)}},
	"join":       {join, []any{new(func(any) string), new(func(any, string) string)}},
	"toJSON":     {toJSON, []any{new(func(any) string)}},
	"string":     {toString, []any{new(func(any) string)}},
	"concat":     {concat, []any{new(func(...any) []any)}},
	"flatten":    {flatten, []any{new(func(any) []any)}},
	"uniq":       {uniq, []any{new(func(any) []any)}},
}

// maybeText reports whether a node can have a text as its value.
func maybeText(n ast.Node) bool {
	k := n.Type().Kind()
	return k == reflect.String || k == reflect.Interface
}

func (g *guard) plus(args []any) (any, error) {
	l, lok := args[0].(string)
	r, rok := args[1].(string)
	if lok && rok {
		if err := g.grow(len(l) + len(r)); err != nil {
			return nil, err
		}
	}
	return runtime.Add(args[0], args[1]), nil
}

func repeat(g *guard, args []any) (any, error) {
	s, n := args[0].(string), runtime.ToInt(args[1])
	if n < 0 {
		return nil, fmt.Errorf("repeat: %d is negative", n)
	}
	if n > maxBuilt {
		return nil, errMemory
	}
	if err := g.grow(len(s) * n); err != nil {
		return nil, err
	}
	return strings.Repeat(s, n), nil
}

func replace(g *guard, args []any) (any, error) {
	s, from, to, n := args[0].(string), args[1].(string), args[2].(string), -1
	if len(args) == 4 {
		n = runtime.ToInt(args[3])
	}
	times := strings.Count(s, from)
	if n >= 0 {
		times = min(times, n)
	}
	if err := g.grow(len(s) + times*max(len(to)-len(from), 0)); err != nil {
		return nil, err
	}
	return strings.Replace(s, from, to, n), nil
}

func split(g *guard, args []any) (any, error) {
	s, sep, n, err := g.splitArgs(args)
	if err != nil {
		return nil, err
	}
	return strings.SplitN(s, sep, n), nil
}

func splitAfter(g *guard, args []any) (any, error) {
	s, sep, n, err := g.splitArgs(args)
	if err != nil {
		return nil, err
	}
	return strings.SplitAfterN(s, sep, n), nil
}

func (g *guard) splitArgs(args []any) (s, sep string, n int, err error) {
	s, sep, n = args[0].(string), args[1].(string), -1
	if len(args) == 3 {
		n = runtime.ToInt(args[2])
	}
	parts := strings.Count(s, sep) + 1
	if n >= 0 {
		parts = min(parts, n)
	}
	return s, sep, n, g.grow(parts * word)
}

// fromJSON counts four bytes for each of the text: lists of small numbers take
// more, texts less.
func fromJSON(g *guard, args []any) (any, error) {
	text := args[0].(string)
	if err := g.grow(4 * len(text)); err != nil {
		return nil, err
	}
	var value any
	err := json.Unmarshal([]byte(text), &value)
	return value, err
}

func join(g *guard, args []any) (any, error) {
	glue := ""
	if len(args) == 2 {
		glue = args[1].(string)
	}
	list, err := listOf("join", args[0])
	if err != nil {
		return nil, err
	}
	parts := make([]string, list.Len())
	for i := range parts {
		part, ok := list.Index(i).Interface().(string)
		if !ok {
			return nil, fmt.Errorf("join: element %d is not text", i)
		}
		if err := g.grow(len(part) + len(glue)); err != nil {
			return nil, err
		}
		parts[i] = part
	}
	return strings.Join(parts, glue), nil
}

func toJSON(g *guard, args []any) (any, error) {
	if err := g.write(args[0]); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(args[0], "", "  ")
	return string(b), err
}

func toString(g *guard, args []any) (any, error) {
	if err := g.write(args[0]); err != nil {
		return nil, err
	}
	return fmt.Sprintf("%v", args[0]), nil
}

func concat(g *guard, args []any) (any, error) {
	all := []any{}
	for _, arg := range args {
		list, err := listOf("concat", arg)
		if err != nil {
			return nil, err
		}
		if err := g.grow(list.Len() * word); err != nil {
			return nil, err
		}
		for i := range list.Len() {
			all = append(all, list.Index(i).Interface())
		}
	}
	return all, nil
}

func flatten(g *guard, args []any) (any, error) {
	list, err := listOf("flatten", args[0])
	if err != nil {
		return nil, err
	}
	return g.flatten([]any{}, list, 0)
}

func (g *guard) flatten(to []any, list reflect.Value, depth int) ([]any, error) {
	if depth > maxNesting {
		return nil, errNesting
	}
	for i := range list.Len() {
		if err := g.step(); err != nil {
			return nil, err
		}
		element := list.Index(i).Interface()
		inner, err := listOf("flatten", element)
		if err == nil {
			if to, err = g.flatten(to, inner, depth+1); err != nil {
				return nil, err
			}
			continue
		}
		if err := g.grow(word); err != nil {
			return nil, err
		}
		to = append(to, element)
	}
	return to, nil
}

// uniq compares all with all, as values need not be comparable otherwise.
func uniq(g *guard, args []any) (any, error) {
	list, err := listOf("uniq", args[0])
	if err != nil {
		return nil, err
	}
	kept := []any{}
next:
	for i := range list.Len() {
		element := list.Index(i).Interface()
		for _, k := range kept {
			if err := g.step(); err != nil {
				return nil, err
			}
			if runtime.Equal(element, k) {
				continue next
			}
		}
		kept = append(kept, element)
	}
	return kept, g.grow(len(kept) * word)
}

func listOf(name string, v any) (reflect.Value, error) {
	list := reflect.ValueOf(v)
	if v == nil || list.Kind() != reflect.Slice && list.Kind() != reflect.Array {
		return list, fmt.Errorf("%s: got %T, want a list", name, v)
	}
	return list, nil
}
