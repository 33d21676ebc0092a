package nodes

import "context"

// subWorkflow runs another workflow of the tenant and waits for its end. Its
// settings:
//
//	workflowID      which
//	inputValues     its inputs
//	outputVariable  where its output goes (subWorkflowResult)
//
// The run is one of its own, with a log and a room, and ends with this one.
type subWorkflow struct{}

// Pure is true: the engine starts the run, once, when the node is suspended.
func (subWorkflow) Pure() bool { return true }

func (subWorkflow) Handles(Data) []string { return single }

func (subWorkflow) Check(d Data) []Problem {
	if d.String("workflowID") == "" {
		return problem("workflowID", "is missing")
	}
	if _, ok := d["inputValues"].(map[string]any); !ok && d["inputValues"] != nil && !d.hasTemplate("inputValues") {
		return problem("inputValues", "is not an object")
	}
	return nil
}

func (subWorkflow) Run(_ context.Context, call Call) (Result, error) {
	input, _ := call.Data["inputValues"].(map[string]any)
	return Result{Suspend: &Suspension{Child: &Child{WorkflowID: call.Data.String("workflowID"), Input: input}}}, nil
}
