package expression

import (
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
		{"Hello {{input.name}}, {{input.n}} of {{input.list}}{{ctx.nothing}}!", "Hello Ada, 2 of [1,2]!"},
		{map[string]any{"a": []any{"{{input.n}}", 7}}, map[string]any{"a": []any{2.0, 7}}},
		{7, 7},
	} {
		got, err := Resolve(tt.in, vars)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: got %#v, %v, want %#v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []any{"{{", "{{1 +}}", map[string]any{"a": "{{)}}"}, "{{input.n.x()}}"} {
		if got, err := Resolve(in, vars); err == nil {
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

// What would take all memory or never end is stopped.
func TestBombs(t *testing.T) {
	for _, source := range []string{
		`map(1..10000000, #)`,
		`repeat("x", 100000000)`,
		strings.Repeat("(", maxLength+1),
		strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000-1),
	} {
		if _, err := Eval(source, vars); err == nil {
			t.Errorf("%.30s… passed", source)
		}
	}
}
