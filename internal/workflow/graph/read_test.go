package graph_test

import (
	"testing"

	"github.com/roomcast/roomcast/internal/workflow/graph"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct{ raw, title, problem string }{
		{`{"nodes":[{"id":"s","type":"start"}],"edges":[],"viewport":{"zoom":1}}`, "", ""},
		{`{"definition":{"nodes":[{"id":"s","type":"start"}]}}`, "", ""},
		{`{"title":"T","definition":{"nodes":[{"id":"s","type":"start"}]}, "workflowID":"x"}` + "\n", "T", ""},
		{`{"title":"T","nodes":[{"id":"s","type":"start"}],"workflowOptions":{"timeoutSeconds":3}}`, "T", ""},
		{`{"nodes":[],"definition":{}}`, "", "definition: is given twice: leave out nodes, edges and workflowOptions beside it"},
		{`{}`, "", "nodes: is missing: a workflow is {nodes, edges, workflowOptions}, alone or under definition"},
		{``, "", "line 1, column 1: is not JSON: it ends too early"},
		{"{\n \"nodes\": [\n", "", "line 2, column 12: is not JSON: it ends too early"},
		{"{\n \"nodes\": [,]}", "", "line 2, column 12: is not JSON: invalid character ',' looking for beginning of value"},
		{`[]`, "", "line 1, column 1: is a JSON array, not an object"},
		{`{"nodes":[{"id":7}]}`, "", "nodes.id: is a JSON number, at line 1, column 17"},
		{`{"nodes":[]} {"nodes":[]}`, "", "line 1, column 14: something follows the workflow"},
	} {
		title, d, err := graph.Read([]byte(tt.raw))
		if got := problemOf(err); got != tt.problem || title != tt.title || (err == nil && len(d.Nodes) != 1) {
			t.Errorf("%s:\n got %q, %q, %+v\nwant %q, %q", tt.raw, got, title, d, tt.problem, tt.title)
		}
	}
}

func problemOf(err error) string {
	if err == nil {
		return ""
	}
	return graph.AllProblems(err)[0].String()
}
