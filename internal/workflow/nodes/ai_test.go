package nodes

import (
	"context"
	"testing"
)

type assistant func(ctx context.Context, p Prompt) (Completion, error)

func (a assistant) Complete(ctx context.Context, p Prompt) (Completion, error) { return a(ctx, p) }

func TestAI(t *testing.T) {
	var asked Prompt
	typ := All(Options{Assistant: assistant(func(ctx context.Context, p Prompt) (Completion, error) {
		asked = p
		if p.Text == "hang" {
			<-ctx.Done()
			return Completion{}, ctx.Err()
		}
		return Completion{Text: "answer", Model: "m", FinishReason: "stop"}, nil
	})})["ai"]
	for want, d := range map[string]Data{
		"":                  {"prompt": "{{ctx.a}}", "system": "be kind", "model": "m", "maxTokens": 10.0, "timeoutSeconds": 120.0},
		"prompt is missing": {"prompt": " "},
		"system is not":     {"prompt": "x", "system": 1.0},
		"maxTokens is not a whole number from 1 to": {"prompt": "x", "maxTokens": 0.0},
		"timeoutSeconds is not between 1 and 120":   {"prompt": "x", "timeoutSeconds": 121.0},
	} {
		checkProblem(t, typ.Check(d), want)
	}
	r, err := typ.Run(t.Context(), Call{Tenant: "acme", User: "ada", Data: Data{"prompt": map[string]any{"a": 1.0}, "system": "s", "model": "m", "maxTokens": 5.0}})
	if out, _ := r.Output.(map[string]any); err != nil || out["text"] != "answer" || out["model"] != "m" || out["finishReason"] != "stop" {
		t.Errorf("%v %v", r, err)
	}
	if want := (Prompt{Tenant: "acme", User: "ada", Model: "m", System: "s", Text: `{"a":1}`, MaxTokens: 5}); asked != want {
		t.Errorf("asked %+v", asked)
	}
	if _, err := typ.Run(t.Context(), Call{Data: Data{"prompt": "hang", "timeoutSeconds": 1.0}}); err == nil || err.Error() != "no answer within 1s" {
		t.Error(err)
	}
	if _, err := All(Options{})["ai"].Run(t.Context(), Call{}); err == nil {
		t.Error("nobody answered")
	}
}
