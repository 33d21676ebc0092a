package nodes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// ai asks a language model. Its settings:
//
//	prompt, system  what to answer, and how; templates are filled in
//	model           the name of a model; empty is the server's choice
//	maxTokens       the most that the answer may be long
//	timeoutSeconds  1 to 120 (60)
//	outputVariable  where {text, model, finishReason} goes (aiResult)
type ai struct{ assistant Assistant }

// An Assistant completes prompts. It may be called concurrently.
type Assistant interface {
	// Complete answers a prompt, or returns an error for the author of the
	// workflow.
	Complete(ctx context.Context, p Prompt) (Completion, error)
}

// A Prompt is what a model is asked.
type Prompt struct {
	Tenant, User string
	// Model is the name of a model; empty is the assistant's choice.
	Model        string
	System, Text string
	// MaxTokens bounds the answer; 0 is no bound of the node's.
	MaxTokens int
}

// A Completion is what a model answers.
type Completion struct {
	Text string
	// Model is who answered.
	Model string
	// FinishReason is stop, length if a limit of tokens cut the answer short, or
	// content_filter if the provider did.
	FinishReason string
}

const (
	defaultAITimeout = 60 * time.Second
	maxAITimeout     = 120 * time.Second
	maxTokens        = 1_000_000
)

func (ai) Pure() bool { return false }

func (ai) Handles(Data) []string { return single }

func (ai) Check(d Data) []Problem {
	if strings.TrimSpace(d.String("prompt")) == "" {
		return problem("prompt", "is missing")
	}
	for _, key := range []string{"system", "model"} {
		if _, text := d[key].(string); d[key] != nil && !text {
			return problem(key, "is not a text")
		}
	}
	if v, given := d["maxTokens"]; given {
		if n, ok := toNumber(v); !ok || n < 1 || n > maxTokens || n != math.Trunc(n) {
			return problem("maxTokens", "is not a whole number from 1 to %d", maxTokens)
		}
	}
	if v, given := d["timeoutSeconds"]; given {
		if s, ok := toNumber(v); !ok || s < 1 || s > maxAITimeout.Seconds() {
			return problem("timeoutSeconds", "is not between 1 and %v", maxAITimeout.Seconds())
		}
	}
	return nil
}

func (n ai) Run(ctx context.Context, call Call) (Result, error) {
	if n.assistant == nil {
		return Result{}, errors.New("this server has no assistant")
	}
	timeout := defaultAITimeout
	if s, ok := call.Data.Number("timeoutSeconds"); ok && s >= 1 {
		timeout = duration(s, time.Second, maxAITimeout)
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p := Prompt{
		Tenant: call.Tenant, User: call.User, Model: call.Data.String("model"),
		System: text(call.Data["system"]), Text: text(call.Data["prompt"]),
	}
	if tokens, ok := call.Data.Number("maxTokens"); ok {
		p.MaxTokens = int(min(max(tokens, 0), maxTokens))
	}
	answer, err := n.assistant.Complete(limited, p)
	switch {
	case err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) && ctx.Err() == nil:
		return Result{}, fmt.Errorf("no answer within %v", timeout)
	case err != nil:
		return Result{}, err
	}
	return Result{Output: map[string]any{"text": answer.Text, "model": answer.Model, "finishReason": answer.FinishReason}}, nil
}
