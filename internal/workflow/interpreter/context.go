package interpreter

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// Context returns the variables that clients may see.
func (m *Machine) Context() map[string]any {
	visible := make(map[string]any, len(m.vars))
	for k, v := range m.vars {
		if !strings.HasPrefix(k, hidden) {
			visible[k] = v
		}
	}
	return visible
}

// A Snapshot is the variables that clients may see at one moment, not yet put
// together.
type Snapshot struct {
	values map[string]json.RawMessage
	size   int
}

// Snapshot returns the variables that clients may see now.
func (m *Machine) Snapshot() Snapshot {
	s := Snapshot{values: make(map[string]json.RawMessage, len(m.raw)), size: 2}
	for k, v := range m.raw {
		if !strings.HasPrefix(k, hidden) {
			s.values[k] = v
			s.size += len(k) + len(v) + 4
		}
	}
	return s
}

// Size is about how many bytes the variables take as JSON.
func (s Snapshot) Size() int { return s.size }

// JSON writes the variables as one object, in the order of their names.
func (s Snapshot) JSON() events.JSON {
	out := make([]byte, 0, s.size)
	out = append(out, '{')
	for i, k := range slices.Sorted(maps.Keys(s.values)) {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(k) // a text
		out = append(append(append(out, name...), ':'), s.values[k]...)
	}
	return append(out, '}')
}
