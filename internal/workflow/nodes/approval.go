package nodes

import "context"

// approval waits for somebody's decision. Its settings:
//
//	title, description
//	expiryMinutes    how long to wait (60), 0 is for ever
//	outputVariable   where {decision, comment, decidedBy} goes (approvalResult)
//
// It is left by the handle approve, reject or, when nobody has decided in
// time, expired; without an edge from there it fails.
type approval struct{}

// The decisions, which are also handles.
const (
	Approve = "approve"
	Reject  = "reject"
	Expired = "expired"
)

// decisionForm is the form of a decision.
var decisionForm = map[string]any{
	"type":     "object",
	"required": []any{"decision"},
	"properties": map[string]any{
		"decision": map[string]any{"enum": []any{Approve, Reject}},
		"comment":  map[string]any{"type": "string", "maxLength": 10_000.0},
	},
}

func (approval) Pure() bool { return true }

func (approval) Handles(Data) []string { return []string{Approve, Reject, Expired} }

func (approval) Check(d Data) []Problem { return checkExpiry(d) }

func (approval) Run(_ context.Context, call Call) (Result, error) {
	in := &Input{
		Type: "form", Title: call.Data.String("title"), Description: call.Data.String("description"),
		FormSchema: decisionForm, OutputVariable: call.Data.String("outputVariable"),
	}
	if in.OutputVariable == "" {
		in.OutputVariable = DefaultVariable("approval")
	}
	s := ask(in, call)
	s.Approval = true
	return Result{Suspend: s}, nil
}

// DecisionIn returns the decision in an input, "" if there is none.
func DecisionIn(input any) string {
	m, _ := input.(map[string]any)
	switch d := m["decision"]; d {
	case Approve, Reject:
		return d.(string)
	}
	return ""
}

// DecisionBy returns an input as the output of an approval.
func DecisionBy(input any, user string) any {
	m, _ := input.(map[string]any)
	comment, _ := m["comment"].(string)
	return map[string]any{"decision": DecisionIn(input), "comment": comment, "decidedBy": user}
}
