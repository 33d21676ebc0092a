// Package graphtest writes definitions in short, for tests.
package graphtest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/graph"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// Parse reads a definition: nodes as "id:type{data}", one per line, and edges
// as "a->b" or "a[handle]->b".
func Parse(t testing.TB, text string) graph.Definition {
	t.Helper()
	var d graph.Definition
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case strings.Contains(line, "->") && !strings.Contains(line, "{"):
			source, target, _ := strings.Cut(line, "->")
			source, handle, _ := strings.Cut(strings.TrimSuffix(source, "]"), "[")
			d.Edges = append(d.Edges, graph.Edge{ID: line, Source: source, Target: target, SourceHandle: handle})
		default:
			id, rest, _ := strings.Cut(line, ":")
			typ, data, found := strings.Cut(rest, "{")
			n := graph.Node{ID: id, Type: typ, Data: nodes.Data{}}
			if found {
				if err := json.Unmarshal([]byte("{"+data), &n.Data); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
			}
			d.Nodes = append(d.Nodes, n)
		}
	}
	return d
}
