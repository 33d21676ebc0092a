package expression

import (
	"context"
	"encoding/json"
	"testing"
	"time"
)

// Whatever is written, an evaluation ends, and its value can be written down
// and is the same again.
func FuzzEval(f *testing.F) {
	for _, source := range []string{
		`input.n * 2 + len(filter(input.list, # > 1))`, `"a b" | split(" ") | join("-")`, `$env["ctx"].input`, `$env`, `let a = 1; a + a`,
		`{"a": [1, nil]}.a[0]`, `input?.name ?? "x"`, `1 in input.list ? "a" : 'b'`, `input.list[1:]`, `now().Year() > 2000`,
		`fromJSON("{}")`, `toJSON(input)`, `"ab" matches "^a"`, `date("2026-01-01").Format("02")`, `get(input, "n")`,
		`map(1..10, # ** 2)`, `reduce(1..9, [#acc], [])`, `sortBy(1..3, -#) | groupBy(# % 2)`, `repeat("x", 9) + replace("aa", "", "b")`, `concat([1], flatten([[2]]), uniq([3, 3]))`,
		`bitshl(1, 3) % 2`, `duration("1h").String()`, `all([], any([], none([], one([], true))))`, `1..1000000000`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		checked := Check(source)
		start := time.Now()
		value, err := Eval(t.Context(), source, vars)
		if took := time.Since(start); took > 10*maxTime {
			t.Fatalf("took %v", took)
		}
		if err != nil {
			return
		}
		if checked != nil {
			t.Fatalf("checked: %v, evaluated: %v", checked, value)
		}
		if raw, err := json.Marshal(value); err == nil && len(raw) > 8*maxResult {
			t.Fatalf("a value of %d bytes", len(raw))
		}
	})
}

// A text in which nothing is a template stays what it is.
func FuzzResolve(f *testing.F) {
	for _, text := range []string{"plain", "{{input.n}}", "a {{input.name}} b {{ctx.done}}", "{{", "}}", "{{}}", "{{{{1}}}}", "{{'}}'}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, wrong := CheckTemplates(text)
		value, err := Resolve(context.Background(), text, vars)
		if wrong != nil && err == nil {
			t.Fatalf("checked: %v, resolved: %v", wrong, value)
		}
		if cut, _ := templates.get(text); err == nil && len(cut.parts) == 0 && value != text {
			t.Fatalf("%q became %v", text, value)
		}
	})
}
