// Package agent is the assistant that asks a language model and lets it use
// tools.
//
// An answer takes rounds: the model says something, or asks for tools, whose
// results it gets in the next round. Tools only look; what would change
// something becomes a proposal, which the members of the conversation decide.
// Whatever the model, its provider or a tool does, there is an answer: what was
// said until then, and what went wrong in words for people.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/provider"
)

// maxRounds bounds how often the model is asked for one answer.
const maxRounds = 15

// Options configure an [Agent].
type Options struct {
	// Model answers; requests name no model of it.
	Model provider.Provider
	Tools []Tool
	// Holds reports whether the identity of a turn still is good, before tools
	// are used in its name; the error ends the turn. nil believes so.
	Holds func(id *auth.Identity) error
	// System says who the assistant is and how it answers; "" is [System]. Rules
	// about tools follow on it.
	System string
	// ContextTokens bounds what the model is given, as [provider.Estimate]
	// counts. Default 16000.
	ContextTokens int
	// ToolTime bounds the use of a tool. Default 20 s.
	ToolTime time.Duration
	Logger   *slog.Logger
}

// An Agent answers with a model. It may be used concurrently.
type Agent struct{ opts Options }

var _ chat.Assistant = (*Agent)(nil)

// New returns an agent.
func New(o Options) *Agent {
	if o.System == "" {
		o.System = System
	}
	if o.ContextTokens <= 0 {
		o.ContextTokens = 16_000
	}
	if o.ToolTime <= 0 {
		o.ToolTime = 20 * time.Second
	}
	return &Agent{o}
}

// Reply implements [chat.Assistant].
func (a *Agent) Reply(ctx context.Context, t chat.Turn, out chat.Out) (chat.Reply, error) {
	c := a.conversation(t, out)
	for range maxRounds {
		answer, err := c.ask(ctx)
		if err != nil {
			return c.failed(ctx, err)
		}
		if len(answer.ToolCalls) == 0 {
			return c.over(answer.Finish)
		}
		if err := c.useTools(ctx, answer); err != nil {
			return c.broken(err)
		}
	}
	return c.end(chat.FinishLength, fmt.Sprintf("I have used tools in %d rounds and have no answer yet, so I stop here. Ask for less at once, or ask me to go on.", maxRounds))
}

// over ends an answer that the model takes for complete.
func (c *conversation) over(why provider.FinishReason) (chat.Reply, error) {
	switch {
	case why == provider.ContentFilter:
		return c.end(chat.FinishRefused, "The language model does not go on: its provider refuses what this is about.")
	case why == provider.Length:
		return c.end(chat.FinishLength, "(The answer ends here because it has become as long as it may be.)")
	case strings.TrimSpace(c.text.String()) != "":
		return c.end(chat.FinishStop, "")
	case len(c.proposals) > 0:
		return c.end(chat.FinishStop, "I propose: "+c.proposals[0].Title+". Approve, reject or test it.")
	}
	return c.end(chat.FinishStop, "The language model had nothing to say to that.")
}

// end ends an answer, with some last words unless they are "".
func (c *conversation) end(finish chat.Finish, last string) (chat.Reply, error) {
	if last != "" {
		c.paragraph = true
		if err := c.say(last); err != nil {
			return c.broken(err)
		}
	}
	return chat.Reply{Text: c.text.String(), Finish: finish, Propose: c.proposals, Model: c.model, Usage: c.usage}, nil
}

// broken is what there is of an answer that somebody else ends: what was
// proposed is not for those who did not hear of it.
func (c *conversation) broken(err error) (chat.Reply, error) {
	return chat.Reply{Text: c.text.String(), Model: c.model, Usage: c.usage}, err
}

// failed ends an answer that the model broke off.
func (c *conversation) failed(ctx context.Context, err error) (chat.Reply, error) {
	failure, ok := errors.AsType[*provider.Error](err)
	if ctx.Err() != nil || !ok {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return c.broken(err)
	}
	c.log.Warn("language model failed", "kind", failure.Kind, "reason", failure.Text, "error", failure.Cause)
	finish := chat.FinishError
	if failure.Kind == provider.Filtered {
		finish = chat.FinishRefused
	}
	return c.end(finish, words(failure))
}
