package workflow

import (
	"strings"
	"testing"
)

// play runs a definition on paper: each step completes one node that is
// dispatched, by a handle, and says which nodes are ready then.
func play(t *testing.T, def string, steps ...[3]string) *machine {
	t.Helper()
	m := newMachine(parse(t, def))
	for _, step := range steps {
		id, handle, want := step[0], step[1], step[2]
		m.apply(Entry{Seq: m.seq + 1, Type: NodeDispatched, Node: id})
		e, err := newEntry(NodeCompleted, id, completion{Output: id + " was here", Variable: "v_" + id, Handle: handle})
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = m.seq + 1
		m.apply(e)
		if got := strings.Join(m.ready(), " "); got != want {
			t.Fatalf("after %s: ready %q, want %q", id, got, want)
		}
	}
	return m
}

const diamond = "s:start\na:transform\nb:transform\nj:transform\ne:end\ns->a\ns->b\na->j\nb->j\nj->e"

func TestJoinWaitsForAll(t *testing.T) {
	m := play(t, diamond,
		[3]string{"s", "output", "a b"},
		[3]string{"a", "output", "b"},
		[3]string{"b", "output", "j"},
		[3]string{"j", "output", "e"},
		[3]string{"e", "output", ""})
	if end := m.outcome(); end == nil || end.Status != "COMPLETED" {
		t.Errorf("%+v", end)
	}
	if m.vars["v_a"] != "a was here" || m.context()["__node_a"] != nil || m.vars["__node_a"] != "a was here" {
		t.Errorf("%v", m.vars)
	}
}

func TestJoinAny(t *testing.T) {
	play(t, strings.Replace(diamond, "j:transform", `j:transform{"joinMode":"any"}`, 1),
		[3]string{"s", "output", "a b"},
		[3]string{"a", "output", "b j"})
}

// A branch that is not taken does not keep a join waiting, however long it is.
func TestDeadBranches(t *testing.T) {
	m := play(t, `
		s:start
		c:condition
		x:transform
		y:transform
		z:transform
		j:transform
		s->c
		c[yes]->x
		c[no]->y
		y->z
		x->j
		z->j`,
		[3]string{"s", "output", "c"},
		[3]string{"c", "yes", "x"},
		[3]string{"x", "output", "j"},
		[3]string{"j", "output", ""})
	if m.nodes["y"].status != nodeSkipped || m.nodes["z"].status != nodeSkipped {
		t.Error("the other branch was not skipped")
	}
	if end := m.outcome(); end == nil || end.Status != "COMPLETED" {
		t.Errorf("%+v", end)
	}
}

// A handle that leads nowhere ends its path, and the run if it is the last.
func TestPathThatEnds(t *testing.T) {
	m := play(t, "s:start\nc:condition\nx:transform\ns->c\nc[yes]->x",
		[3]string{"s", "output", "c"},
		[3]string{"c", "no", ""})
	if end := m.outcome(); end == nil || end.Status != "COMPLETED" {
		t.Errorf("%+v", end)
	}
}

func TestFailureEndsTheRunUnlessHandled(t *testing.T) {
	def := "s:start\nx:transform{\"title\":\"X\"}\ny:transform\ns->x\nx[error]->y"
	for _, tt := range []struct{ handle, ready, end string }{{"", "", "node X: boom"}, {"error", "y", ""}} {
		m := play(t, def, [3]string{"s", "output", "x"})
		m.apply(Entry{Type: NodeDispatched, Node: "x"})
		e, _ := newEntry(NodeFailed, "x", failure{Error: "boom", Handle: tt.handle})
		m.apply(e)
		end := m.outcome()
		if strings.Join(m.ready(), " ") != tt.ready || (tt.end == "") != (end == nil) || end != nil && end.Error != tt.end {
			t.Errorf("handle %q: ready %v, end %+v", tt.handle, m.ready(), end)
		}
	}
}
