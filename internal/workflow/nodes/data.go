package nodes

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Data are the settings of a node as decoded from JSON.
type Data map[string]any

// String returns a setting that is a string, "" if it is not one.
func (d Data) String(key string) string {
	s, _ := d[key].(string)
	return s
}

// Number returns a setting that is a finite number, or text that says one.
func (d Data) Number(key string) (float64, bool) { return toNumber(d[key]) }

func toNumber(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, finite(n)
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(n), 64)
		return f, err == nil && finite(f)
	}
	return 0, false
}

// finite reports whether a number is one: text may also say NaN or Inf.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// duration is a number of units, at most limit: beyond, a time.Duration would
// overflow and become a moment in the past.
func duration(n float64, unit, limit time.Duration) time.Duration {
	switch {
	case !(n > 0): // or not a number
		return 0
	case n >= float64(limit)/float64(unit):
		return limit
	}
	return time.Duration(n * float64(unit))
}

// List returns a setting that is a list, nil if it is not one.
func (d Data) List(key string) []any {
	l, _ := d[key].([]any)
	return l
}

// hasTemplate reports whether a setting is filled in only while running, so
// that its value cannot be checked before.
func (d Data) hasTemplate(key string) bool { return strings.Contains(d.String(key), "{{") }
