package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/provider"
)

const (
	// maxCalls are tools that are used in one round; atOnce of them at the same
	// time.
	maxCalls, atOnce = 16, 4
	// maxArguments bounds those of a call, in bytes of JSON.
	maxArguments = 8 << 10
	// maxProposals bounds what one answer proposes.
	maxProposals = 5
)

// useTools uses the tools that an answer asks for. They change nothing, so they
// go on at the same time; what came of them is told in the order in which they
// were asked for.
func (c *conversation) useTools(ctx context.Context, answer provider.Response) error {
	if holds := c.agent.opts.Holds; holds != nil {
		if err := holds(c.turn.Identity); err != nil {
			return err
		}
	}
	calls := c.sound(answer.ToolCalls)
	c.rounds = append(c.rounds, provider.Message{Role: provider.Assistant, Text: answer.Text, ToolCalls: calls})
	for _, call := range calls {
		if err := c.out.ToolCall(call.ID, call.Name, call.Arguments); err != nil {
			return err
		}
	}
	outcomes := c.useAll(ctx, calls)
	if err := ctx.Err(); err != nil {
		return err
	}
	limit := c.resultLimit(len(calls))
	for i, o := range outcomes {
		o = c.propose(o)
		c.rounds = append(c.rounds, provider.Message{Role: provider.ToolRole, ToolCallID: calls[i].ID, Text: o.content(limit)})
		if err := c.out.ToolResult(calls[i].ID, o.err == nil, o.summary()); err != nil {
			return err
		}
	}
	return nil
}

// callable are names that every provider takes.
var callable = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// sound are calls that can be told to providers and clients, however the model
// made them. Their ids are unlike all others of the turn.
func (c *conversation) sound(asked []provider.ToolCall) []provider.ToolCall {
	calls := slices.Clone(asked)
	for i := range calls {
		call := &calls[i]
		if len(call.Arguments) > maxArguments || i >= maxCalls {
			call.Arguments, call.Broken = json.RawMessage("{}"), true
		}
		if !callable.MatchString(call.Name) {
			call.Name = "unknown"
		}
		for n := len(c.ids); c.ids[call.ID] || len(call.ID) > 64; n++ {
			call.ID = fmt.Sprintf("call_%d", n)
		}
		c.ids[call.ID] = true
	}
	return calls
}

// useAll uses tools and returns when all are done.
func (c *conversation) useAll(ctx context.Context, calls []provider.ToolCall) []outcome {
	outcomes := make([]outcome, len(calls))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, call := range calls {
		if i >= maxCalls {
			outcomes[i] = refused("more than %d tools were asked for at once: ask for this one again", maxCalls)
			continue
		}
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			outcomes[i] = c.use(ctx, call)
		})
	}
	all.Wait()
	return outcomes
}

// use uses one tool.
func (c *conversation) use(ctx context.Context, call provider.ToolCall) outcome {
	if call.Broken {
		return refused("the call could not be read: name a tool, and give its arguments as one JSON object of at most %d bytes", maxArguments)
	}
	at := slices.IndexFunc(c.tools, func(t Tool) bool { return t.Name == call.Name })
	if at < 0 {
		var names []string
		for _, t := range c.tools {
			names = append(names, t.Name)
		}
		return refused("there is no tool %q; the tools are %s", call.Name, strings.Join(names, ", "))
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, c.agent.opts.ToolTime)
	defer cancel()
	result, err := recovered(limited, c.tools[at], c.turn, call.Arguments)
	c.log.Debug("tool was used", "tool", call.Name, "ok", err == nil, "took", time.Since(began))
	switch _, meant := errors.AsType[*events.Error](err); {
	case err == nil, meant, ctx.Err() != nil:
		return outcome{Result: result, err: err}
	case limited.Err() != nil:
		return refused("the tool took longer than %v, which is as long as it may", c.agent.opts.ToolTime)
	}
	c.log.Error("tool failed", "tool", call.Name, "error", err)
	return refused("the tool failed, and nothing is known of why; the log of the server says more")
}

// recovered uses a tool. A panic is one bad result, not the end of the answer.
func recovered(ctx context.Context, tool Tool, t chat.Turn, arguments json.RawMessage) (result Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return tool.Use(ctx, t, arguments)
}

// propose notes what a tool would do. The same is not proposed twice.
func (c *conversation) propose(o outcome) outcome {
	p := o.Propose
	if o.err != nil || p == nil {
		return o
	}
	same := func(other chat.Proposal) bool {
		return p.Tool == other.Tool && string(p.Arguments) == string(other.Arguments)
	}
	switch {
	case slices.ContainsFunc(c.proposals, same):
		return refused("this is proposed already: wait for the decision")
	case len(c.proposals) == maxProposals:
		return refused("%d things are proposed already, and nobody has decided on them yet", maxProposals)
	}
	c.proposals = append(c.proposals, *p)
	o.Data = map[string]any{"proposed": p.Title, "done": false, "next": "people decide about it"}
	o.Summary = "proposed: " + p.Title
	return o
}
