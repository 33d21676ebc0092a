package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Definitions are kept while there is room, and those that were used last.
func TestPlansAreBounded(t *testing.T) {
	p := newPlans()
	big := func(i int) *graph.Plan {
		return graph.NewPlan(graph.Definition{Nodes: []graph.Node{{ID: fmt.Sprint(i, strings.Repeat("x", plansSize/10))}}})
	}
	first := big(0)
	p.add("0", first)
	if p.add("0", big(0)) != first {
		t.Error("a plan was replaced by its like")
	}
	for i := 1; i < 30; i++ {
		p.add(fmt.Sprint(i), big(i))
		if p.find("0") != first {
			t.Fatal("what is used was dropped")
		}
		if p.size > plansSize || p.order.Len() != len(p.byKey) {
			t.Fatalf("%d definitions of %d bytes", p.order.Len(), p.size)
		}
	}
	if p.find("29") == nil || p.find("1") != nil {
		t.Error("not those that were used last are kept")
	}
	huge := graph.NewPlan(graph.Definition{Nodes: []graph.Node{{ID: strings.Repeat("x", plansSize)}}})
	if p.add("huge", huge) != huge || p.find("huge") != huge {
		t.Error("one that is larger than the bound is not kept while it is used")
	}
	if _, err := p.decoded("bad", "{"); err == nil || p.find("bad") != nil {
		t.Error("what cannot be read was kept")
	}
}

func TestParts(t *testing.T) {
	list := make([]int, 2*(2*maxPart+13))
	for i := range list {
		list[i] = i
	}
	var together, sizes []int
	for part := range parts(list, 2) {
		together = append(together, part...)
		sizes = append(sizes, len(part)/2)
	}
	if !slices.Equal(together, list) || !slices.Equal(sizes, []int{maxPart, maxPart, 8, 4, 1}) {
		t.Errorf("parts of %v rows, %v", sizes, together)
	}
}
