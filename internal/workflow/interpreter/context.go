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

// assignments are the variables that clients may see, as what made them: a list
// that only grows, so that its beginning is a moment of the past that costs
// nothing to keep.
type assignments struct {
	list  []assignment
	names int // different ones
	size  int // about how many bytes the variables take as JSON, without the braces
}

type assignment struct {
	name string
	raw  json.RawMessage
}

// overwritten is how many assignments that have no effect any more are kept,
// besides as many as there are variables.
const overwritten = 16

// note adds an assignment. raw are the variables before it.
func (a *assignments) note(name string, raw json.RawMessage, before map[string]json.RawMessage) {
	if strings.HasPrefix(name, hidden) {
		return
	}
	if old, known := before[name]; known {
		a.size -= len(old)
	} else {
		a.names++
		a.size += len(name) + 4
	}
	a.size += len(raw)
	if len(a.list) >= 2*a.names+overwritten {
		latest := latest(a.list)
		a.list = make([]assignment, 0, 2*len(latest)+overwritten) // the one before is of snapshots
		for name, raw := range latest {
			a.list = append(a.list, assignment{name, raw})
		}
	}
	a.list = append(a.list, assignment{name, raw})
}

// latest returns the variables that assignments have led to.
func latest(list []assignment) map[string]json.RawMessage {
	values := make(map[string]json.RawMessage, len(list))
	for _, a := range list {
		values[a.name] = a.raw
	}
	return values
}

// A Snapshot is the variables that clients may see at one moment, not yet put
// together. It costs next to nothing, and may be used concurrently with its
// machine.
type Snapshot struct {
	list []assignment
	size int
}

// Snapshot returns the variables that clients may see now.
func (m *Machine) Snapshot() Snapshot {
	return Snapshot{m.visible.list[:len(m.visible.list):len(m.visible.list)], m.visible.size + 2}
}

// Size is about how many bytes the variables take as JSON.
func (s Snapshot) Size() int { return s.size }

// JSON writes the variables as one object, in the order of their names.
func (s Snapshot) JSON() events.JSON {
	values := latest(s.list)
	out := make([]byte, 0, s.size)
	out = append(out, '{')
	for i, k := range slices.Sorted(maps.Keys(values)) {
		if i > 0 {
			out = append(out, ',')
		}
		name, _ := json.Marshal(k) // a text
		out = append(append(append(out, name...), ':'), values[k]...)
	}
	return append(out, '}')
}
