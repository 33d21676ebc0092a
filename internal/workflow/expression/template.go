package expression

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Resolve returns a copy of a value in which every template has been replaced.
// A string that is one template and nothing else becomes its value, whatever
// its type; inside a longer string a value is written as text.
func Resolve(ctx context.Context, value any, vars map[string]any) (any, error) {
	g, done := newGuard(ctx)
	defer done()
	resolved, err := g.resolve(value, vars)
	if err == nil {
		err = g.checkResult(resolved)
	}
	return resolved, err
}

func (g *guard) resolve(value any, vars map[string]any) (any, error) {
	switch v := value.(type) {
	case string:
		return g.resolveString(v, vars)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			resolved, err := g.resolve(v[i], vars)
			if err != nil {
				return nil, err
			}
			out[i] = resolved
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			resolved, err := g.resolve(v[k], vars)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = resolved
		}
		return out, nil
	}
	return value, nil
}

func (g *guard) resolveString(s string, vars map[string]any) (any, error) {
	if !strings.Contains(s, "{{") {
		return s, nil
	}
	t, err := templates.get(s)
	if err != nil {
		return nil, err
	}
	if t.whole() {
		return g.eval(t.parts[0].source, vars)
	}
	var text strings.Builder
	for _, p := range t.parts {
		text.WriteString(p.before)
		value, err := g.eval(p.source, vars)
		if err != nil {
			return nil, err
		}
		if err := g.write(value); err != nil {
			return nil, err
		}
		text.WriteString(Text(value))
	}
	text.WriteString(t.after)
	return text.String(), nil
}

// A template is a text cut at the expressions in it.
type template struct {
	parts []part
	after string
}

// A part is an expression and the text before it.
type part struct{ before, source string }

// whole reports whether a template is one expression and nothing else.
func (t template) whole() bool { return len(t.parts) == 1 && t.parts[0].before == "" && t.after == "" }

// templates remembers how texts are cut.
var templates = newCache(cut)

func cut(s string) (t template, err error) {
	for rest := s; ; {
		before, from, found := strings.Cut(rest, "{{")
		if !found {
			t.after = rest
			return t, nil
		}
		source, after, closed := strings.Cut(from, "}}")
		if !closed {
			return template{}, fmt.Errorf("template is not closed: %.100q", from)
		}
		t.parts = append(t.parts, part{before, source})
		rest = after
	}
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
		t, err := cut(v)
		if err != nil {
			return "", err
		}
		for _, p := range t.parts {
			if err := Check(p.source); err != nil {
				return "", err
			}
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
