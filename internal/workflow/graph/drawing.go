package graph

import "fmt"

// CheckDrawing returns what is wrong with a definition that is only looked at,
// as [Problems], nil if nothing is. Its nodes may be of types that are not
// known here.
func (d Definition) CheckDrawing() error {
	c := &check{Definition: d, index: make(map[string]int, len(d.Nodes))}
	if len(d.Nodes) > maxNodes {
		c.report("", "nodes", "has more than %d nodes", maxNodes)
		return c.problems
	}
	for i, n := range c.Nodes {
		at := fmt.Sprintf("nodes[%d].id", i)
		if n.ID == "" {
			c.report("", at, "is missing")
		} else if _, twice := c.index[n.ID]; twice {
			c.report("", at, "%q is used twice", n.ID)
		}
		c.index[n.ID] = i
	}
	c.checkEdges()
	return c.problems.err()
}
