package expression

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"
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

// What would take all memory or never end is stopped, soon.
func TestBombs(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	vars := map[string]any{"long": long, "list": make([]any, 100_000)}
	for i := range vars["list"].([]any) {
		vars["list"].([]any)[i] = i
	}
	for _, source := range []string{
		`map(1..10000000, #)`,
		`repeat("x", 100000000)`,
		`repeat(repeat("x", 1000000), 1000000)`,
		strings.Repeat("(", maxLength+1),
		strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000-1),
		nest("all(ctx.list, ", "true", 5),
		nest("all(ctx.list, ", "true", 3),
		`let a = 1..900; all(a, all(a, all(a, true)))`,
		`reduce(ctx.list, #acc + count(ctx.list, true), 0)`,
		`uniq(ctx.list)`,
		`let a = ctx.long; let b = a+a+a+a+a; let c = b+b+b+b+b; c+c+c+c+c`,
		`map(1..100000, upper(ctx.long))`,
		`map(1..100000, sort(ctx.list))`,
		`map(1..100000, now().Format(ctx.long))`,
		`replace(ctx.long, "x", ctx.long)`,
		`replace(ctx.long, "", ctx.long)`,
		`join(map(1..100000, ctx.long), "")`,
		`join(map(1..100000, "x"), ctx.long)`,
		`toJSON(map(1..100000, ctx.long))`,
		`string(map(1..100000, ctx.long))`,
		`map(1..100000, ctx.long)`,
		`groupBy(1..100000, ctx.long + "x")`,
		`concat(` + strings.Repeat("ctx.list,", 1000) + `[])`,
		`let a = map(1..100, ctx.list); let b = map(1..100, a); flatten(map(1..100, b))`,
	} {
		start := time.Now()
		if v, err := Eval(t.Context(), source, vars); err == nil {
			t.Errorf("%.60s… passed as %.60v", source, v)
		}
		if took := time.Since(start); took > 20*maxTime {
			t.Errorf("%.60s… took %v", source, took)
		}
	}
	many := strings.Repeat("{{ctx.long}} ", 1000)
	if _, err := Resolve(t.Context(), map[string]any{"a": many}, vars); err == nil {
		t.Error("a text of many templates passed")
	}
	var list []any
	for range 1000 {
		list = append(list, "{{ctx.long}}")
	}
	if _, err := Resolve(t.Context(), list, vars); err == nil {
		t.Error("a list of many templates passed")
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

func BenchmarkEval(b *testing.B) {
	for b.Loop() {
		if _, err := Eval(b.Context(), `input.n * 2 + len(filter(input.list, # > 1))`, vars); err != nil {
			b.Fatal(err)
		}
	}
}
