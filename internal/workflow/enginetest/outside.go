package enginetest

import (
	"context"

	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// outside are the places that nodes of every server ask.
type outside struct{}

// Check implements [nodes.DataSources].
func (outside) Check(nodes.DataQuery) []nodes.Problem { return nil }

// Query implements [nodes.DataSources]: the answer is what was asked.
func (outside) Query(_ context.Context, q nodes.DataQuery) (any, error) {
	return []any{map[string]any{"query": q.ID, "args": q.Args}}, nil
}

// Complete implements [nodes.Assistant]: the answer is what was said.
func (outside) Complete(_ context.Context, p nodes.Prompt) (nodes.Completion, error) {
	return nodes.Completion{Text: "you said " + p.Text, Model: "parrot", FinishReason: "stop"}, nil
}
