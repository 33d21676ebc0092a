// Package builtin is the assistant that needs no model: it knows a handful of
// phrases, is always of the same opinion, and says so.
package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat"
)

// Workflows are what the assistant can do besides talking.
type Workflows interface {
	List(ctx context.Context, id *auth.Identity, tenant string) ([]Workflow, error)
	// Check reports whether a run with this input could begin.
	Check(ctx context.Context, id *auth.Identity, workflowID string, input map[string]any) error
	// Run executes a workflow and waits for as long as ctx lasts, until it is
	// over or waits for somebody's input.
	Run(ctx context.Context, id *auth.Identity, workflowID string, input map[string]any) (Outcome, error)
}

// A Workflow is one that the user may run.
type Workflow struct {
	ID, Title string
	Inputs    []string
}

// An Outcome is how far a run has got.
type Outcome struct {
	RunID  string
	Status string // RUNNING if it goes on
	Output json.RawMessage
	Error  string
	// Waiting is what the run wants to know before it goes on.
	Waiting []string
}

// patience is how long an answer waits for the end of a run.
const patience = 5 * time.Second

// An Assistant answers from what it finds in a tenant's workflows.
type Assistant struct{ workflows Workflows }

var _ chat.Assistant = (*Assistant)(nil)

// New returns the assistant.
func New(w Workflows) *Assistant { return &Assistant{w} }

const noModel = "No language model is configured on this server, so I only understand a few phrases. "

const help = noModel + `Try:
• list workflows: what can be run
• run <title> with <name>=<value>, <name>=<value>: I propose the run, and you approve, reject or test it
• help: this`

// Tool is what the assistant proposes: to run a workflow.
const Tool = "run_workflow"

// call are the arguments of Tool.
type call struct {
	WorkflowID  string         `json:"workflowID"`
	InputValues map[string]any `json:"inputValues"`
}

func callOf(a *chat.Approval) call {
	var c call
	json.Unmarshal(a.Arguments, &c) // written by propose
	return c
}

// Reply implements [chat.Assistant].
func (a *Assistant) Reply(ctx context.Context, t chat.Turn, _ chat.Out) (chat.Reply, error) {
	switch {
	case t.Approval != nil && t.Message.Action == chat.Approve:
		return a.approve(ctx, t)
	case t.Approval != nil && t.Message.Action == chat.Reject:
		return text("All right, I will not run %q.", t.Approval.Title), nil
	case t.Approval != nil && t.Message.Action == chat.Test:
		return a.test(ctx, t)
	case t.Message.Action == chat.Approve, t.Message.Action == chat.Reject:
		return text("There is nothing to %s: I have not proposed anything. Say \"help\" to see what I can do.", t.Message.Action), nil
	}
	return a.converse(ctx, t)
}

func text(format string, args ...any) chat.Reply {
	return chat.Reply{Text: fmt.Sprintf(format, args...)}
}

func (a *Assistant) converse(ctx context.Context, t chat.Turn) (chat.Reply, error) {
	words := strings.ToLower(strings.Trim(t.Message.Text, " .!?"))
	switch {
	case words == "help", words == "hello", words == "hi", words == "":
		return text("%s", help), nil
	case words == "list", words == "workflows", strings.HasPrefix(words, "list workflow"):
		return a.list(ctx, t)
	case strings.HasPrefix(words, "run "):
		return a.propose(ctx, t, strings.TrimSpace(strings.Trim(t.Message.Text, " .!?")[len("run "):]))
	}
	return text("%sI cannot answer %q. Say \"help\" to see what I can do.", noModel, shorten(t.Message.Text)), nil
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "…"
	}
	return s
}

func (a *Assistant) list(ctx context.Context, t chat.Turn) (chat.Reply, error) {
	list, err := a.workflows.List(ctx, t.Identity, t.Room.Tenant)
	if err != nil {
		return chat.Reply{}, err
	}
	if len(list) == 0 {
		return text("There are no workflows in tenant %s.", t.Room.Tenant), nil
	}
	var b strings.Builder
	b.WriteString("These workflows can be run:")
	for _, w := range list {
		b.WriteString("\n• " + w.Title)
		if len(w.Inputs) > 0 {
			b.WriteString(" (" + strings.Join(w.Inputs, ", ") + ")")
		}
	}
	return chat.Reply{Text: b.String()}, nil
}

// propose finds the workflow that a message names and offers to run it.
func (a *Assistant) propose(ctx context.Context, t chat.Turn, request string) (chat.Reply, error) {
	title, args, _ := cutFold(request, " with ")
	list, err := a.workflows.List(ctx, t.Identity, t.Room.Tenant)
	if err != nil {
		return chat.Reply{}, err
	}
	for _, w := range list {
		if !strings.EqualFold(w.Title, strings.Trim(title, `"' `)) && w.ID != title {
			continue
		}
		c := call{WorkflowID: w.ID, InputValues: parseInput(args)}
		arguments, err := json.Marshal(c)
		if err != nil {
			return chat.Reply{}, err
		}
		return chat.Reply{
			Text:    fmt.Sprintf("I can run %q with %s. Approve, reject or test?", w.Title, describe(c.InputValues)),
			Propose: []chat.Proposal{{Tool: Tool, Title: w.Title, Arguments: arguments}},
		}, nil
	}
	return text("There is no workflow called %q here. Say \"list workflows\" to see them.", shorten(title)), nil
}

// cutFold is strings.Cut without regard to case.
func cutFold(s, sep string) (before, after string, found bool) {
	i := strings.Index(strings.ToLower(s), sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// parseInput reads "a=1, b=text": numbers and booleans as such.
func parseInput(s string) map[string]any {
	input := map[string]any{}
	for part := range strings.SplitSeq(s, ",") {
		name, value, found := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !found || name == "" {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			input[name] = f
		} else if b, err := strconv.ParseBool(value); err == nil {
			input[name] = b
		} else {
			input[name] = value
		}
	}
	return input
}

func describe(input map[string]any) string {
	if len(input) == 0 {
		return "its default input"
	}
	b, _ := json.Marshal(input) // strings, numbers and booleans
	return string(b)
}

func (a *Assistant) test(ctx context.Context, t chat.Turn) (chat.Reply, error) {
	p, c := t.Approval, callOf(t.Approval)
	if err := a.workflows.Check(ctx, t.Identity, c.WorkflowID, c.InputValues); err != nil {
		return text("The test failed: %v. Nothing was run.", err), nil
	}
	return text("The test passed: %q would run with %s. Nothing was run; approve or reject it.", p.Title, describe(c.InputValues)), nil
}

func (a *Assistant) approve(ctx context.Context, t chat.Turn) (chat.Reply, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := callOf(t.Approval)
	out, err := a.workflows.Run(waiting, t.Identity, c.WorkflowID, c.InputValues)
	switch {
	case err != nil:
		return chat.Reply{}, err
	case len(out.Waiting) > 0:
		return text("%q is running as %s and waits for an answer: %s.", t.Approval.Title, out.RunID, strings.Join(out.Waiting, "; ")), nil
	case out.Status == "RUNNING":
		return text("%q is running as %s and goes on.", t.Approval.Title, out.RunID), nil
	case out.Error != "":
		return text("%q ran as %s and ended as %s: %s.", t.Approval.Title, out.RunID, out.Status, out.Error), nil
	}
	return text("%q ran as %s and is %s: %s", t.Approval.Title, out.RunID, out.Status, out.Output), nil
}
