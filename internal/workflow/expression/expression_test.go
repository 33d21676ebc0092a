package expression

import (
	"context"
	"reflect"
	"strings"
	"testing"
)

var vars = map[string]any{
	"input": map[string]any{"n": 2.0, "name": "Ada", "list": []any{1.0, 2.0}},
	"done":  true,
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct{ in, want any }{
		{"plain", "plain"},
		{"{{ctx.input.n}}", 2.0},
		{"{{ input.n }}", 2.0},
		{"{{input.list}}", []any{1.0, 2.0}},
		{"{{ctx.done}}", true},
		{"{{ctx.missing.deep}}", nil},
		{"{{input.n * 2 + 1}}", 5.0},
		{"{{ctx.nothing}}{{input.n}}", "2"},
		{"Hello {{input.name}}, {{input.n}} of {{input.list}}{{ctx.nothing}}!", "Hello Ada, 2 of [1,2]!"},
		{map[string]any{"a": []any{"{{input.n}}", 7}}, map[string]any{"a": []any{2.0, 7}}},
		{7, 7},
	} {
		got, err := Resolve(t.Context(), tt.in, vars)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: got %#v, %v, want %#v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []any{"{{", "{{1 +}}", map[string]any{"a": "{{)}}"}, "{{input.n.x()}}"} {
		if got, err := Resolve(t.Context(), in, vars); err == nil {
			t.Errorf("%v: got %v", in, got)
		}
	}
}

func TestCheckTemplates(t *testing.T) {
	field, err := CheckTemplates(map[string]any{"body": []any{"ok {{ctx.x}}", "{{1 +}}"}})
	if err == nil || field != ".body[1]" {
		t.Errorf("%q %v", field, err)
	}
	if field, err := CheckTemplates(map[string]any{"a": "{{unknown.name}} {{len(ctx)}}"}); err != nil {
		t.Errorf("%q %v", field, err)
	}
}

func nest(open, inner string, depth int) string {
	return strings.Repeat(open, depth) + inner + strings.Repeat(")", depth)
}

func TestDepthIsCheckedBeforeRunning(t *testing.T) {
	if err := Check(nest("any(ctx.l, ", "true", maxDepth)); err != nil {
		t.Error(err)
	}
	for _, source := range []string{nest("any(ctx.l, ", "true", maxDepth+1), `map(ctx.l, 1 + count(#.a, all(#.b, any(#.c, 0 < count(#.d, true)))))`} {
		if err := Check(source); err == nil || !strings.Contains(err.Error(), "nested more than 4 deep") {
			t.Errorf("%s: %v", source, err)
		}
	}
}

// An evaluation ends with its context, however much is left.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g, done := newGuard(ctx)
	defer done()
	calls := 0
	vars := map[string]any{"list": make([]any, 1000), "stop": func() bool {
		if calls++; calls == 100 {
			cancel()
		}
		return true
	}}
	_, err := g.eval(`all(ctx.list, ctx.stop())`, vars)
	if err == nil || !strings.Contains(err.Error(), "stopped") || calls > 200 {
		t.Errorf("%v after %d elements", err, calls)
	}
	if _, err := Eval(ctx, `ctx.a`, vars); err == nil {
		t.Error("evaluated after the end")
	}
}

// The bounded functions do what those of the language do.
func TestBoundedFunctions(t *testing.T) {
	for source, want := range map[string]any{
		`repeat("ab", 3)`:                          "ababab",
		`replace("a.b.c", ".", "--")`:              "a--b--c",
		`replace("a.b.c", ".", "", 1)`:             "ab.c",
		`join(["a", "b"], "-")`:                    "a-b",
		`"a b c" | split(" ") | join()`:            "abc",
		`toJSON({"a": [1, nil]})`:                  "{\n  \"a\": [\n    1,\n    null\n  ]\n}",
		`string(1.5)`:                              "1.5",
		`concat([1], 2..3, ["x"])`:                 []any{1, 2, 3, "x"},
		`flatten([1, [2, [3]], []])`:               []any{1, 2, 3},
		`uniq([1, 2, 1, {"a": 1}, {"a": 1}])`:      []any{1, 2, map[string]any{"a": 1}},
		`"a" + "b" + string(1 + 2)`:                "ab3",
		`input.n + 1 + sum(map([1, 2], # * 2))`:    9.0,
		`filter(input.list, # > 1)`:                []any{2.0},
		`len(upper("abc") + "d") + 1`:              5,
		`reduce([1, 2, 3], #acc + #, 0)`:           6,
		`map(keys({"a": 1}), upper(#))`:            []any{"A"},
		`count(input.list, let x = #; x > 1) == 1`: true,
	} {
		if got, err := Eval(t.Context(), source, vars); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s = %#v, %v, want %#v", source, got, err, want)
		}
	}
	for _, source := range []string{`1 + "a"`, `repeat("a", -1)`, `join([1], "")`, `uniq(nil)`, `concat(1)`, `join("a", "b")`} {
		if got, err := Eval(t.Context(), source, vars); err == nil {
			t.Errorf("%s = %v", source, got)
		}
	}
}
