package nodes

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/roomcast/roomcast/internal/workflow/expression"
)

// Types are the node types of a server by name.
type Types map[string]Type

// Pure reports whether nodes of a type do nothing but compute.
func (t Types) Pure(typ string) bool {
	known, ok := t[typ]
	return ok && known.Pure()
}

// errPanic is the error of a node that has a bug.
var errPanic = errors.New("internal error")

// Execute fills in the templates of a node's settings and runs it. A node that
// panics fails, and the log says why.
func (t Types) Execute(ctx context.Context, typ string, call Call, log *slog.Logger) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("node panicked", "run", call.RunID, "node", call.NodeID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result, err = Result{}, errPanic
		}
	}()
	known, ok := t[typ]
	if !ok {
		return Result{}, fmt.Errorf("this server has no node type %q", typ)
	}
	if call.Data, err = resolve(ctx, call.Source, call.Vars); err != nil {
		return Result{}, err
	}
	return known.Run(ctx, call)
}

// unresolved are the settings that are evaluated by the node itself.
var unresolved = map[string]bool{
	"expression": true, "branches": true, "formSchema": true, "formUischema": true, "outputParameters": true, "delayVariable": true, "sourceVariable": true, "code": true,
}

// resolve fills in the templates of a node's settings.
func resolve(ctx context.Context, source Data, vars map[string]any) (Data, error) {
	resolved := make(Data, len(source))
	for k, v := range source {
		if !unresolved[k] {
			filled, err := expression.Resolve(ctx, v, vars)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			v = filled
		}
		resolved[k] = v
	}
	return resolved, nil
}
