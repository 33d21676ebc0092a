package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/graph/graphtest"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// Ids stand in every entry of a log, and in every database.
func TestIDsOfNodes(t *testing.T) {
	types := nodes.All(nodes.Options{})
	for id, fine := range map[string]bool{
		"a/b": true, "größe 1": true, strings.Repeat("x", 200): true,
		strings.Repeat("x", 201): false, "a\x00b": false, "a\nb": false, "\u202eevil": false,
	} {
		d := graph.Definition{Nodes: []graph.Node{{ID: id, Type: "start"}}}
		if err := d.Check(types, "acme"); (err == nil) != fine {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// What is wrong with a definition is not much larger than the definition.
func TestProblemsAreBounded(t *testing.T) {
	d := graph.Definition{Nodes: []graph.Node{{ID: "s", Type: "start"}, {ID: "t", Type: "end"}}}
	for i := range 500 {
		l := fmt.Sprint("l", i)
		d.Nodes = append(d.Nodes, graph.Node{ID: l, Type: "loop", Data: nodes.Data{"sourceVariable": "1"}})
		d.Edges = append(d.Edges, graph.Edge{Source: l, Target: "t", SourceHandle: "loop"})
	}
	for range 4000 {
		d.Edges = append(d.Edges, graph.Edge{Source: "s", Target: "t"})
	}
	problems := graph.AllProblems(d.Check(nodes.All(nodes.Options{}), "acme"))
	if n := len(problems); n == 0 || n > 1000 {
		t.Errorf("%d problems", n)
	}
	d.Edges = append(d.Edges, make([]graph.Edge, 1000)...)
	if err := d.Check(nodes.All(nodes.Options{}), "acme"); err == nil || !strings.Contains(err.Error(), "more than 5000 edges") {
		t.Errorf("%.200v", err)
	}
}

func TestNestedLoops(t *testing.T) {
	for depth, fine := range map[int]bool{10: true, 11: false} {
		def := "s:start\ns->l0\ne:transform{\"expression\":\"1\"}\n"
		for i := range depth {
			def += fmt.Sprintf("l%d:loop{\"sourceVariable\":\"1\"}\n", i)
			if i > 0 {
				def += fmt.Sprintf("l%d[loop]->l%d\n", i-1, i)
			}
		}
		def += fmt.Sprintf("l%d[loop]->e", depth-1)
		err := graphtest.Parse(t, def).Check(nodes.All(nodes.Options{}), "acme")
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "as deep as loops may be nested") {
			t.Errorf("%d loops: %v", depth, err)
		}
	}
}
