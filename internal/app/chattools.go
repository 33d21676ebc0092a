package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/assistant/builtin"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow"
)

// knownWorkflows are workflows as the assistant without a model needs them.
type knownWorkflows struct{ workflows *workflow.Service }

var _ builtin.Workflows = knownWorkflows{}

// List implements [builtin.Workflows].
func (k knownWorkflows) List(ctx context.Context, id *auth.Identity, tenant string) ([]builtin.Workflow, error) {
	list, err := k.workflows.List(ctx, id, tenant)
	var out []builtin.Workflow
	for _, w := range list {
		known := builtin.Workflow{ID: w.ID, Title: w.Title}
		for _, arg := range w.Plan.Definition.Inputs() {
			known.Inputs = append(known.Inputs, arg.Key)
		}
		out = append(out, known)
	}
	return out, err
}

// chatTools do what assistants propose, each by its name.
type chatTools map[string]chat.Tools

var _ chat.Tools = chatTools{}

func (t chatTools) find(name string) (chat.Tools, error) {
	if tool := t[name]; tool != nil {
		return tool, nil
	}
	return nil, invalid(events.Errorf(events.CodeConflict, "this server has no tool called %q", name))
}

// Check implements [chat.Tools].
func (t chatTools) Check(ctx context.Context, id *auth.Identity, p chat.Proposal) (chat.Proposal, error) {
	tool, err := t.find(p.Tool)
	if err != nil {
		return p, err
	}
	return tool.Check(ctx, id, p)
}

// Try implements [chat.Tools].
func (t chatTools) Try(ctx context.Context, id *auth.Identity, p chat.Proposal) (string, error) {
	tool, err := t.find(p.Tool)
	if err != nil {
		return "", err
	}
	return tool.Try(ctx, id, p)
}

// Do implements [chat.Tools].
func (t chatTools) Do(ctx context.Context, id *auth.Identity, approvalID string, p chat.Proposal) (chat.Outcome, error) {
	tool, err := t.find(p.Tool)
	if err != nil {
		return chat.Outcome{}, err
	}
	return tool.Do(ctx, id, approvalID, p)
}

// invalid tells why nobody can do what was proposed.
func invalid(why error) error { return fmt.Errorf("%w: %w", chat.ErrInvalid, why) }

// mayDo reads the arguments of a proposal, which somebody must have the right to
// approve.
func mayDo(id *auth.Identity, p chat.Proposal, call any) error {
	in := json.NewDecoder(bytes.NewReader(p.Arguments))
	in.DisallowUnknownFields()
	if err := in.Decode(call); err != nil {
		return invalid(events.FieldErrorf("arguments", "are not those of %s", p.Tool))
	}
	if !id.Can(auth.Execute, p.Tenant) {
		return events.Errorf(events.CodePermissionDenied, "your role does not include %s", auth.Execute)
	}
	return nil
}

// runTool runs workflows. The version of a proposal is the definition that it
// was made for.
type runTool struct{ workflows *workflow.Service }

var _ chat.Tools = runTool{}

// find returns the workflow that a proposal is about, and its input.
func (t runTool) find(ctx context.Context, id *auth.Identity, p chat.Proposal) (workflow.Workflow, map[string]any, error) {
	var call builtin.Call
	if err := mayDo(id, p, &call); err != nil {
		return workflow.Workflow{}, nil, err
	}
	w, err := t.workflows.Get(ctx, id, auth.Execute, call.WorkflowID)
	if err == nil && w.Tenant != p.Tenant {
		err = events.NotFound("workflow", call.WorkflowID)
	}
	var e *events.Error
	if errors.As(err, &e) && e.Code == events.CodeNotFound {
		err = invalid(e)
	}
	return w, call.InputValues, err
}

// Check implements [chat.Tools].
func (t runTool) Check(ctx context.Context, id *auth.Identity, p chat.Proposal) (chat.Proposal, error) {
	w, input, err := t.find(ctx, id, p)
	if err != nil {
		return p, err
	}
	if _, err := w.Plan.Definition.Fill(input); err != nil {
		return p, invalid(err)
	}
	p.Version = w.Plan.Hash()
	return p, nil
}

// Try implements [chat.Tools].
func (t runTool) Try(ctx context.Context, id *auth.Identity, p chat.Proposal) (string, error) {
	w, input, err := t.find(ctx, id, p)
	if err != nil {
		return "", err
	}
	if _, err := w.Plan.Definition.Fill(input); err != nil {
		return "", invalid(err)
	}
	return fmt.Sprintf("%q would run with %s", p.Title, builtin.Describe(input)), nil
}

// patience is how long the end of a run is waited for.
const patience = 5 * time.Second

// Do implements [chat.Tools].
func (t runTool) Do(ctx context.Context, id *auth.Identity, _ string, p chat.Proposal) (chat.Outcome, error) {
	run, err := t.run(ctx, id, p)
	if err != nil {
		return chat.Outcome{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t.workflows.Settle(waiting, run.ID)
	return t.outcome(context.WithoutCancel(ctx), p.Title, run)
}

// run begins the run, or returns the one that a server which is gone has begun.
func (t runTool) run(ctx context.Context, id *auth.Identity, p chat.Proposal) (workflow.Run, error) {
	if once.Again(ctx) {
		begun, err := t.workflows.Run(ctx, id, auth.ReadRuns, once.ID(ctx, "run"))
		var e *events.Error
		if !errors.As(err, &e) || e.Code != events.CodeNotFound {
			return begun, err
		}
	}
	w, input, err := t.find(ctx, id, p)
	if err != nil {
		return workflow.Run{}, err
	}
	if p.Version != "" && w.Plan.Hash() != p.Version {
		return workflow.Run{}, invalid(events.Errorf(events.CodeConflict, "workflow %q has changed since the run was proposed", w.Title))
	}
	return t.workflows.Begin(ctx, id, w, input)
}

// outcome says how far a run has got.
func (t runTool) outcome(ctx context.Context, title string, run workflow.Run) (chat.Outcome, error) {
	history, err := t.workflows.History(ctx, run, 0)
	if err != nil {
		return chat.Outcome{}, err
	}
	out := chat.Outcome{OK: true, InstanceID: run.ID, Text: fmt.Sprintf("%q is running as %s and goes on.", title, run.ID)}
	if waiting := waitsFor(history); len(waiting) > 0 {
		out.Text = fmt.Sprintf("%q is running as %s and waits for an answer: %s.", title, run.ID, strings.Join(waiting, "; "))
	}
	for _, u := range history.Updates {
		if end, ok := u.Payload.(events.WorkflowStatusUpdate); ok {
			out = ended(title, run.ID, end)
		}
	}
	return out, nil
}

// ended says how a run has ended. An output may be large, and is in the run.
func ended(title, runID string, end events.WorkflowStatusUpdate) chat.Outcome {
	out := chat.Outcome{OK: end.Status == events.RunCompleted, InstanceID: runID}
	if end.Error != "" {
		out.OK = false
		out.Text = fmt.Sprintf("%q ran as %s and ended as %s: %s.", title, runID, end.Status, shortened([]byte(end.Error)))
	} else {
		out.Text = fmt.Sprintf("%q ran as %s and is %s: %s", title, runID, end.Status, shortened(end.Output))
	}
	return out
}

// waitsFor is what people are asked for by a run.
func waitsFor(h workflow.History) (titles []string) {
	for _, p := range h.Pending {
		if p.CollectionConfig.Title != "" {
			titles = append(titles, p.CollectionConfig.Title)
		} else {
			titles = append(titles, p.NodeID)
		}
	}
	return titles
}
