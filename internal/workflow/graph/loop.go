package graph

import (
	"cmp"
	"fmt"
	"slices"
)

// LoopType is the node type that repeats its body.
const LoopType = "loop"

// shape is what the loops of a graph have found wrong with it.
type shape struct{ strays []stray }

// A stray is an edge that enters or leaves the body of a loop where it must
// not.
type stray struct {
	node, edge int // the node at fault, and the edge; -1 if it is none
	message    string
}

func (s stray) field() string {
	if s.edge < 0 {
		return fmt.Sprintf("nodes[%d]", s.node)
	}
	return fmt.Sprintf("edges[%d]", s.edge)
}

// findLoops finds the bodies of loops: what is reached from the handle loop
// without passing the loop node itself.
func (p *Plan) findLoops() {
	bodies := map[int]map[int]bool{}
	var loops []int
	for i, n := range p.Nodes {
		if n.Type == LoopType {
			loops = append(loops, i)
			bodies[i] = p.reached(i)
		}
	}
	for i, a := range loops {
		for _, b := range loops[i+1:] {
			if bodies[a][b] && bodies[b][a] {
				p.stray(b, p.edgeBetween(bodies[b], a), "its body leads into loop %q, and the other way round", p.Nodes[a].ID)
				return
			}
		}
	}
	// Inner loops have smaller bodies.
	slices.SortStableFunc(loops, func(a, b int) int { return cmp.Compare(len(bodies[a]), len(bodies[b])) })
	for _, l := range loops {
		p.setBody(l, bodies[l])
	}
	slices.SortStableFunc(p.shape.strays, func(a, b stray) int { return cmp.Compare(a.edge, b.edge) })
}

// reached returns the nodes of the body of a loop.
func (p *Plan) reached(loop int) map[int]bool {
	seen := map[int]bool{}
	var follow []int
	visit := func(edge int) {
		if t := p.Edges[edge].Target; t != loop && !seen[t] {
			seen[t] = true
			follow = append(follow, t)
		}
	}
	for _, e := range p.Nodes[loop].Out {
		if p.Edges[e].Handle == LoopHandle {
			visit(e)
		}
	}
	for len(follow) > 0 {
		n := follow[len(follow)-1]
		follow = follow[:len(follow)-1]
		for _, e := range p.Nodes[n].Out {
			visit(e)
		}
	}
	return seen
}

// nesting is how many loops a node is in the bodies of.
func (p *Plan) nesting(node int) (loops int) {
	for l := p.Nodes[node].Loop; l >= 0; l = p.Nodes[l].Loop {
		loops++
	}
	return loops
}

// setBody notes what a loop consists of, and which edges break into its body.
func (p *Plan) setBody(loop int, body map[int]bool) {
	l := &p.Nodes[loop]
	for i := range p.Nodes {
		if !body[i] {
			continue
		}
		l.Body = append(l.Body, i)
		if p.Nodes[i].Loop < 0 {
			p.Nodes[i].Loop = loop
		}
	}
	for i, e := range p.Edges {
		if e.Source < 0 {
			continue
		}
		inside := body[e.Source] || e.Source == loop && e.Handle == LoopHandle
		if inside {
			l.BodyEdges = append(l.BodyEdges, i)
		}
		switch {
		case body[e.Source] && e.Target == loop:
			p.Edges[i].Back = true
		case body[e.Target] && !inside:
			p.stray(e.Target, i, "is in the body of loop %q, and node %q leads to it from outside: a body is entered by its loop alone", l.ID, p.Nodes[e.Source].ID)
		}
	}
	if len(l.Body) == 0 {
		p.stray(loop, -1, "has no edge from its handle loop")
	}
}

func (p *Plan) stray(node, edge int, format string, args ...any) {
	if len(p.shape.strays) == maxProblems {
		return
	}
	p.shape.strays = append(p.shape.strays, stray{node, edge, fmt.Sprintf(format, args...)})
}

// edgeBetween returns an edge from a set of nodes to a node.
func (p *Plan) edgeBetween(from map[int]bool, to int) int {
	return slices.IndexFunc(p.Edges, func(e PlanEdge) bool { return from[e.Source] && e.Target == to })
}
