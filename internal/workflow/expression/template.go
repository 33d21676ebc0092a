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
	var text strings.Builder
	for rest, first := s, true; ; first = false {
		before, source, after, found, err := split(rest)
		if err != nil {
			return nil, err
		}
		text.WriteString(before)
		if !found {
			return text.String(), nil
		}
		value, err := g.eval(source, vars)
		if err != nil || first && before == "" && after == "" {
			return value, err
		}
		if err := g.grow(sizeOf(value, maxBuilt)); err != nil {
			return nil, err
		}
		text.WriteString(Text(value))
		rest = after
	}
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
