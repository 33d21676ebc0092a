package nodes

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/workflow/expression"
)

// end finishes a run. Its settings:
//
//	status            success (default) or failed
//	outputParameters  [{name, sourceVariable}], the run's output
type end struct{}

func (end) Pure() bool { return true }

func (end) Handles(Data) []string { return nil }

func (end) Check(d Data) []Problem {
	if s := strings.ToLower(d.String("status")); !d.hasTemplate("status") {
		switch s {
		case "", "success", "completed", "failed", "error":
		default:
			return problem("status", "%q is not one of success, failed", s)
		}
	}
	if _, ok := d["outputParameters"].([]any); !ok && d["outputParameters"] != nil {
		return problem("outputParameters", "is not a list of {name, sourceVariable}")
	}
	for i, p := range d.List("outputParameters") {
		m, _ := p.(map[string]any)
		if Data(m).String("name") == "" || Data(m).String("sourceVariable") == "" {
			return problem(fmt.Sprintf("outputParameters[%d]", i), "needs a name and a sourceVariable")
		}
	}
	return nil
}

func (end) Run(ctx context.Context, call Call) (Result, error) {
	output := map[string]any{}
	for _, p := range call.Source.List("outputParameters") {
		m := Data(p.(map[string]any))
		value, err := source(ctx, m.String("sourceVariable"), call.Vars)
		if err != nil {
			return Result{}, fmt.Errorf("outputParameters %s: %w", m.String("name"), err)
		}
		output[m.String("name")] = value
	}
	return Result{Output: map[string]any{
		"status":         endStatus(call.Data),
		"workflowOutput": output,
		"completedAt":    call.Now.UTC().Format(time.RFC3339Nano),
	}}, nil
}

func endStatus(d Data) string {
	switch strings.ToLower(d.String("status")) {
	case "failed", "error":
		return "failed"
	}
	return "success"
}

// source evaluates the name of a variable, with or without ctx. and braces.
func source(ctx context.Context, name string, vars map[string]any) (any, error) {
	name = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(name), "{{"), "}}"))
	if name != "ctx" && name != "input" && !strings.HasPrefix(name, "ctx.") && !strings.HasPrefix(name, "input.") {
		name = "ctx." + name
	}
	return expression.Eval(ctx, name, vars)
}
