// Package builtin is the assistant that needs no model: it knows a handful of
// phrases, is always of the same opinion, and says so.
package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat"
)

// Workflows are what the assistant can talk about.
type Workflows interface {
	List(ctx context.Context, id *auth.Identity, tenant string) ([]Workflow, error)
}

// A Workflow is one that the user may run.
type Workflow struct {
	ID, Title string
	Inputs    []string
}

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
const Tool = "workflow_run"

// A Call are the arguments of Tool.
type Call struct {
	WorkflowID  string         `json:"workflowID"`
	InputValues map[string]any `json:"inputValues"`
}

// Reply implements [chat.Assistant].
func (a *Assistant) Reply(ctx context.Context, t chat.Turn, _ chat.Out) (chat.Reply, error) {
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

func text(format string, args ...any) chat.Reply {
	return chat.Reply{Text: fmt.Sprintf(format, args...)}
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
		c := Call{WorkflowID: w.ID, InputValues: parseInput(args)}
		arguments, err := json.Marshal(c)
		if err != nil {
			return chat.Reply{}, err
		}
		return chat.Reply{
			Text:    fmt.Sprintf("I can run %q with %s. Approve, reject or test?", w.Title, Describe(c.InputValues)),
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

// Describe says what a run gets, for people.
func Describe(input map[string]any) string {
	if len(input) == 0 {
		return "its default input"
	}
	b, _ := json.Marshal(input) // strings, numbers and booleans
	return string(b)
}
