package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// A Plan is a definition made ready to be interpreted. All runs of a definition
// share one; it must not be changed.
type Plan struct {
	Definition Definition
	Nodes      []PlanNode // as in the definition
	Edges      []PlanEdge // as in the definition

	index map[string]int
	shape shape
	text  string
	hash  string
}

// A PlanNode is a node and where it stands.
type PlanNode struct {
	Node
	Index   int
	In, Out []int // indexes of edges; In is without those that lead back to a loop
	// Loop is the index of the innermost loop that it is in the body of, -1 if
	// there is none.
	Loop int
	// Body are the indexes of the nodes of a loop, with those of inner loops.
	Body []int
	// BodyEdges are the indexes of the edges of a loop: those from its handle
	// loop, and those that leave nodes of its body.
	BodyEdges []int
	// Variable is where its output goes, "" if nowhere.
	Variable string
}

// A PlanEdge is an edge and where it leads.
type PlanEdge struct {
	Source, Target int    // indexes of nodes
	Handle         string // of the source
	Back           bool   // from the body of a loop to its loop node
}

// NewPlan returns the plan of a definition. Edges that lead nowhere are left
// out, for definitions that have not been checked.
func NewPlan(d Definition) *Plan {
	text, _ := json.Marshal(d) // what came from JSON goes back
	p := &Plan{text: string(text), hash: hash(text), Definition: d, Nodes: make([]PlanNode, len(d.Nodes)), Edges: make([]PlanEdge, len(d.Edges)), index: make(map[string]int, len(d.Nodes))}
	for i, n := range d.Nodes {
		p.Nodes[i] = PlanNode{Node: n, Index: i, Loop: -1, Variable: n.OutputVariable()}
		p.index[n.ID] = i
	}
	for i, e := range d.Edges {
		source, from := p.index[e.Source]
		target, to := p.index[e.Target]
		if !from || !to {
			p.Edges[i] = PlanEdge{Source: -1, Target: -1}
			continue
		}
		p.Edges[i] = PlanEdge{Source: source, Target: target, Handle: e.handle(d.Nodes[source].Type)}
		p.Nodes[source].Out = append(p.Nodes[source].Out, i)
	}
	p.findLoops()
	for i, e := range p.Edges {
		if e.Target >= 0 && !e.Back {
			p.Nodes[e.Target].In = append(p.Nodes[e.Target].In, i)
		}
	}
	return p
}

// Find returns the index of a node.
func (p *Plan) Find(id string) (index int, found bool) {
	index, found = p.index[id]
	return index, found
}

// Handled reports whether an edge leaves a node by a handle.
func (p *Plan) Handled(node int, handle string) bool {
	return slices.ContainsFunc(p.Nodes[node].Out, func(e int) bool { return p.Edges[e].Handle == handle })
}

// Text is the definition as JSON, and Hash names it.
func (p *Plan) Text() string { return p.text }

// Hash is the same for all plans of equal definitions.
func (p *Plan) Hash() string { return p.hash }

// MarshalJSON writes the definition.
func (p *Plan) MarshalJSON() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalJSON reads a definition.
func (p *Plan) UnmarshalJSON(raw []byte) error {
	var d Definition
	if err := json.Unmarshal(raw, &d); err != nil {
		return err
	}
	*p = *NewPlan(d)
	return nil
}

func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// cycle returns a node that can come before itself without a loop node that
// starts it again.
func (p *Plan) cycle() (node int, found bool) {
	waiting := make([]int, len(p.Nodes))
	var ready []int
	for i, n := range p.Nodes {
		if waiting[i] = len(n.In); waiting[i] == 0 {
			ready = append(ready, i)
		}
	}
	for len(ready) > 0 {
		i := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for _, e := range p.Nodes[i].Out {
			if p.Edges[e].Back {
				continue
			}
			j := p.Edges[e].Target
			if waiting[j]--; waiting[j] == 0 {
				ready = append(ready, j)
			}
		}
	}
	i := slices.IndexFunc(waiting, func(n int) bool { return n > 0 })
	return i, i >= 0
}
