package expression

import (
	"fmt"
	"reflect"
)

// word is what a number, or a reference to something else, counts.
const word = 16

// maxNesting bounds lists and objects inside each other. Whoever encodes or
// compares a value does so recursively.
const maxNesting = 1000

var errNesting = fmt.Errorf("the value is nested more than %d deep", maxNesting)

// shallow is about how many bytes a value itself takes, without what it refers
// to.
func shallow(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []any:
		return len(v) * word
	case map[string]any:
		return len(v) * 3 * word
	}
	if r := reflect.ValueOf(v); v != nil && (r.Kind() == reflect.Slice || r.Kind() == reflect.Map) {
		return r.Len() * word
	}
	return word
}

// sizeOf is about how many bytes a value takes when it is written out. Counting
// stops beyond most, since parts that are shared are counted each time.
func sizeOf(v any, most int) (int, error) {
	m := meter{left: most}
	m.add(v, 0)
	if m.nested {
		return 0, errNesting
	}
	return most - m.left, nil
}

// A meter counts down.
type meter struct {
	left   int
	nested bool
}

func (m *meter) add(v any, depth int) {
	if depth > maxNesting {
		m.nested, m.left = true, -1
		return
	}
	switch v := v.(type) {
	case nil, bool, int, int64, float64:
		m.left -= word
	case string:
		m.left -= len(v)
	case []any:
		m.left -= word
		for i := 0; i < len(v) && m.left >= 0; i++ {
			m.add(v[i], depth+1)
		}
	case map[string]any:
		m.left -= word
		for k, e := range v {
			if m.left -= len(k); m.left < 0 {
				break
			}
			m.add(e, depth+1)
		}
	default:
		m.reflect(reflect.ValueOf(v), depth)
	}
}

// reflect is for the lists and maps of one type that functions make.
func (m *meter) reflect(v reflect.Value, depth int) {
	m.left -= word
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && m.left >= 0; i++ {
			m.add(v.Index(i).Interface(), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); m.left >= 0 && it.Next(); {
			m.add(it.Key().Interface(), depth+1)
			m.add(it.Value().Interface(), depth+1)
		}
	}
}
