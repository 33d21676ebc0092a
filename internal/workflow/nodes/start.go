package nodes

import "context"

// start is where a run begins.
type start struct{}

func (start) Pure() bool { return true }

func (start) Handles(Data) []string { return single }

func (start) Check(Data) []Problem { return nil }

func (start) Run(_ context.Context, call Call) (Result, error) {
	return Result{Output: map[string]any{"started": true, "inputReceived": call.Vars["input"]}}, nil
}
