package app

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/assistant/agent"
	"github.com/roomcast/roomcast/internal/chat/assistant/builtin"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// newAssistant builds what answers conversations: a model with tools, or what
// needs none.
func (a *App) newAssistant() chat.Assistant {
	c := a.opts.Config
	if !asksModel(c.Chat) {
		return builtin.New(knownWorkflows{a.workflows})
	}
	tools := append(agent.WorkflowTools(agentWorkflows{a.workflows}), agent.DataTool(a.agentData()), agent.LogTool(agentLog{a.lines}))
	return agent.New(agent.Options{
		Model: a.models, Tools: tools, Holds: a.holds, System: c.Chat.SystemPrompt, ContextTokens: c.Chat.ContextTokens, Logger: a.log,
	})
}

// asksModel reports whether a model answers conversations.
func asksModel(c config.Chat) bool {
	return c.Assistant == config.Agent || c.Assistant == config.Auto && len(c.Models) > 0
}

// chatTools are what assistants may propose.
func (a *App) chatTools() chatTools {
	run := runTool{a.workflows}
	tools := chatTools{agent.RunTool: run, agent.QueryTool: queryTool{a.agentData()}}
	tools[builtin.Tool] = run // whether or not they call it the same
	return tools
}

// agentWorkflows are workflows as the assistant with a model needs them. A
// conversation is of one tenant, whatever others its members belong to.
type agentWorkflows struct{ workflows *workflow.Service }

var _ agent.Workflows = agentWorkflows{}

func (w agentWorkflows) get(ctx context.Context, id *auth.Identity, a auth.Action, tenant, workflowID string) (workflow.Workflow, error) {
	found, err := w.workflows.Get(ctx, id, a, workflowID)
	if err == nil && found.Tenant != tenant {
		return workflow.Workflow{}, events.NotFound("workflow", workflowID)
	}
	return found, err
}

// List implements [agent.Workflows].
func (w agentWorkflows) List(ctx context.Context, id *auth.Identity, tenant string) ([]agent.Workflow, error) {
	list, err := knownWorkflows(w).List(ctx, id, tenant)
	out := []agent.Workflow{}
	for _, known := range list {
		out = append(out, agent.Workflow(known))
	}
	return out, err
}

// Describe implements [agent.Workflows]. What nodes are made of stays here: it
// may hold credentials.
func (w agentWorkflows) Describe(ctx context.Context, id *auth.Identity, tenant, workflowID string) (agent.Description, error) {
	found, err := w.get(ctx, id, auth.ReadWorkflows, tenant, workflowID)
	if err != nil {
		return agent.Description{}, err
	}
	d := agent.Description{ID: found.ID, Title: found.Title, Inputs: []agent.Input{}, Steps: steps(found.Plan.Definition)}
	for _, arg := range found.Plan.Definition.Inputs() {
		d.Inputs = append(d.Inputs, agent.Input{Name: arg.Key, Type: arg.Type, Required: arg.Required, Default: arg.DefaultValue})
	}
	return d, nil
}

func steps(d graph.Definition) []agent.Step {
	next := map[string][]string{}
	for _, e := range d.Edges {
		next[e.Source] = append(next[e.Source], e.Target)
	}
	list := []agent.Step{}
	for _, n := range d.Nodes {
		list = append(list, agent.Step{ID: n.ID, Type: n.Type, Title: n.Title(), Next: next[n.ID]})
	}
	return list
}

// Check implements [agent.Workflows].
func (w agentWorkflows) Check(ctx context.Context, id *auth.Identity, tenant string, call agent.RunCall) (title string, err error) {
	found, err := w.get(ctx, id, auth.Execute, tenant, call.WorkflowID)
	if err == nil {
		_, err = found.Plan.Definition.Fill(call.InputValues)
	}
	return found.Title, err
}

// Runs implements [agent.Workflows].
func (w agentWorkflows) Runs(ctx context.Context, id *auth.Identity, tenant, workflowID string, limit int) ([]agent.Run, error) {
	runs, err := w.workflows.Runs(ctx, id, tenant, workflowID, limit)
	list := []agent.Run{}
	for _, r := range runs {
		list = append(list, agentRun(r))
	}
	return list, err
}

// Run implements [agent.Workflows].
func (w agentWorkflows) Run(ctx context.Context, id *auth.Identity, tenant, runID string) (agent.RunState, error) {
	run, err := w.workflows.Run(ctx, id, auth.ReadRuns, runID)
	if err == nil && run.Tenant != tenant {
		err = events.NotFound("run", runID)
	}
	if err != nil {
		return agent.RunState{}, err
	}
	history, err := w.workflows.History(ctx, run, 0)
	if err != nil {
		return agent.RunState{}, err
	}
	state := agent.RunState{Run: agentRun(history.Run), Waiting: waitsFor(history)}
	for _, u := range history.Updates {
		if end, ok := u.Payload.(events.WorkflowStatusUpdate); ok {
			state.Output = end.Output
		}
	}
	return state, nil
}

func agentRun(r workflow.Run) agent.Run {
	run := agent.Run{ID: r.ID, WorkflowID: r.WorkflowID, Title: r.Title, Status: string(r.Status), StartedAt: r.StartedAt.UTC().Format(time.RFC3339), Error: r.Error}
	if !r.EndedAt.IsZero() {
		run.EndedAt = r.EndedAt.UTC().Format(time.RFC3339)
	}
	return run
}
