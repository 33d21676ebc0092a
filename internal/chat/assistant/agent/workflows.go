package agent

import (
	"context"
	"encoding/json"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
)

// RunTool is the name of the tool that proposes to run a workflow; what is
// proposed has a [RunCall] as its arguments.
const RunTool = "workflow_run"

// Workflows are those of a tenant, as far as a user may see them. What another
// tenant has does not exist.
type Workflows interface {
	List(ctx context.Context, id *auth.Identity, tenant string) ([]Workflow, error)
	Describe(ctx context.Context, id *auth.Identity, tenant, workflowID string) (Description, error)
	// Check reports whether a run with this input could begin, and returns the
	// title of the workflow.
	Check(ctx context.Context, id *auth.Identity, tenant string, call RunCall) (title string, err error)
	// Runs returns the newest runs, of one workflow unless workflowID is "".
	Runs(ctx context.Context, id *auth.Identity, tenant, workflowID string, limit int) ([]Run, error)
	Run(ctx context.Context, id *auth.Identity, tenant, runID string) (RunState, error)
}

// A Workflow is one that the user may see.
type Workflow struct {
	ID     string   `json:"workflowID"`
	Title  string   `json:"title"`
	Inputs []string `json:"inputs,omitempty"`
}

// A Description is what a workflow takes and does.
type Description struct {
	ID     string  `json:"workflowID"`
	Title  string  `json:"title"`
	Inputs []Input `json:"inputs"`
	Steps  []Step  `json:"steps"`
}

// An Input is one that a workflow takes.
type Input struct {
	Name     string `json:"name"`
	Type     string `json:"type,omitempty"`
	Required bool   `json:"required"`
	Default  any    `json:"default,omitempty"`
}

// A Step is a node and the nodes that may follow it.
type Step struct {
	ID    string   `json:"id"`
	Type  string   `json:"type"`
	Title string   `json:"title"`
	Next  []string `json:"next,omitempty"`
}

// A RunCall are the arguments of [RunTool].
type RunCall struct {
	WorkflowID  string         `json:"workflowID"`
	InputValues map[string]any `json:"inputValues"`
}

// A Run is one of a workflow.
type Run struct {
	ID         string `json:"instanceID"`
	WorkflowID string `json:"workflowID,omitempty"`
	Title      string `json:"title"`
	Status     string `json:"status"`
	StartedAt  string `json:"startedAt"`
	EndedAt    string `json:"endedAt,omitempty"`
	Error      string `json:"error,omitempty"`
}

// A RunState is how far a run has got.
type RunState struct {
	Run
	// Waiting is what people are asked for.
	Waiting []string        `json:"waitingFor,omitempty"`
	Output  json.RawMessage `json:"output,omitempty"`
}

// WorkflowTools let the model look at workflows and runs, and propose runs.
func WorkflowTools(w Workflows) []Tool {
	return []Tool{
		{
			Name:        "workflows_list",
			Description: "Lists the workflows that there are: their ids, titles and the names of their inputs.",
			Parameters:  `{"type": "object", "properties": {}}`,
			Use: taking(func(ctx context.Context, t chat.Turn, _ struct{}) (Result, error) {
				list, err := w.List(ctx, t.Identity, t.Room.Tenant)
				return Result{Data: map[string]any{"workflows": list}, Summary: counted(len(list), "workflow")}, err
			}),
		},
		{
			Name:        "workflow_describe",
			Description: "Describes a workflow: the types and defaults of its inputs, and its steps.",
			Parameters:  `{"type": "object", "properties": {"workflowID": {"type": "string"}}, "required": ["workflowID"]}`,
			Use: taking(func(ctx context.Context, t chat.Turn, args struct{ WorkflowID string }) (Result, error) {
				if args.WorkflowID == "" {
					return Result{}, missing("workflowID")
				}
				d, err := w.Describe(ctx, t.Identity, t.Room.Tenant, args.WorkflowID)
				return Result{Data: d, Summary: d.Title}, err
			}),
		},
		{
			Name:        RunTool,
			Description: "Proposes to run a workflow with input values, by the names of its inputs. Nothing is run before somebody approves it.",
			Parameters:  `{"type": "object", "properties": {"workflowID": {"type": "string"}, "inputValues": {"type": "object"}}, "required": ["workflowID"]}`,
			Offered:     func(t chat.Turn) bool { return t.Identity.Can(auth.Execute, t.Room.Tenant) },
			Use:         taking(proposeRun(w)),
		},
		{
			Name:        "run_status",
			Description: "Tells how far a run has got and what it waits for; without instanceID it lists the newest runs, of one workflow if workflowID is given.",
			Parameters:  `{"type": "object", "properties": {"instanceID": {"type": "string"}, "workflowID": {"type": "string"}}}`,
			Use:         taking(runStatus(w)),
		},
	}
}

func proposeRun(w Workflows) func(context.Context, chat.Turn, RunCall) (Result, error) {
	return func(ctx context.Context, t chat.Turn, call RunCall) (Result, error) {
		if call.WorkflowID == "" {
			return Result{}, missing("workflowID")
		}
		if call.InputValues == nil {
			call.InputValues = map[string]any{}
		}
		title, err := w.Check(ctx, t.Identity, t.Room.Tenant, call)
		if err != nil {
			return Result{}, err
		}
		arguments, err := json.Marshal(call)
		return Result{Propose: &chat.Proposal{Tool: RunTool, Title: title, Arguments: arguments}}, err
	}
}

// newestRuns is how many are listed.
const newestRuns = 10

type statusArgs struct{ InstanceID, WorkflowID string }

func runStatus(w Workflows) func(context.Context, chat.Turn, statusArgs) (Result, error) {
	return func(ctx context.Context, t chat.Turn, args statusArgs) (Result, error) {
		switch {
		case args.InstanceID != "" && args.WorkflowID != "":
			return Result{}, events.FieldErrorf("workflowID", "does not go with instanceID: give one of them")
		case args.InstanceID == "":
			runs, err := w.Runs(ctx, t.Identity, t.Room.Tenant, args.WorkflowID, newestRuns)
			return Result{Data: map[string]any{"runs": runs}, Summary: counted(len(runs), "run")}, err
		}
		run, err := w.Run(ctx, t.Identity, t.Room.Tenant, args.InstanceID)
		return Result{Data: run, Summary: run.Title + ": " + run.Status}, err
	}
}
