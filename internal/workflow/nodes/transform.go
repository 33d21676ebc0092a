package nodes

import (
	"context"
	"strings"

	"github.com/roomcast/roomcast/internal/workflow/expression"
)

// transform computes a value. Its settings:
//
//	expression      what to compute, from ctx and input
//	outputVariable  where it goes (transformResult)
type transform struct{}

func (transform) Pure() bool { return true }

func (transform) Handles(Data) []string { return single }

func (transform) Check(d Data) []Problem {
	if strings.TrimSpace(d.String("expression")) == "" {
		return problem("expression", "is missing")
	}
	if err := expression.Check(d.String("expression")); err != nil {
		return problem("expression", "%v", err)
	}
	return nil
}

func (transform) Run(ctx context.Context, call Call) (Result, error) {
	value, err := expression.Eval(ctx, call.Source.String("expression"), call.Vars)
	return Result{Output: value}, err
}
