package nodes

import (
	"strconv"
	"strings"
)

// Data are the settings of a node as decoded from JSON.
type Data map[string]any

// String returns a setting that is a string, "" if it is not one.
func (d Data) String(key string) string {
	s, _ := d[key].(string)
	return s
}

// Number returns a setting that is a number, or text that says one.
func (d Data) Number(key string) (float64, bool) { return toNumber(d[key]) }

func toNumber(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
		return f, err == nil
	}
	return 0, false
}

// List returns a setting that is a list, nil if it is not one.
func (d Data) List(key string) []any {
	l, _ := d[key].([]any)
	return l
}

// hasTemplate reports whether a setting is filled in only while running, so
// that its value cannot be checked before.
func (d Data) hasTemplate(key string) bool { return strings.Contains(d.String(key), "{{") }
