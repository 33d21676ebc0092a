package openai

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// grace is how long the usage, and the end of the stream, may come after the
// finish reason.
const grace = 2 * time.Second

// An attempt is one request and what came of it.
type attempt struct {
	opts Options
	emit func(string) error

	text    strings.Builder
	calls   calls
	reason  string // finish reason, as it was sent
	usage   *usage
	model   string
	started bool // there was a token
	answer  provider.Response
}

// run asks and reads the answer. The error is the one of emit, that of ctx, or a
// *failure.
func (a *attempt) run(ctx context.Context, client *openai.Client, req openai.ChatCompletionRequest) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	first := time.AfterFunc(a.opts.FirstTokenTimeout, func() { cancel(late("the language model gave no sign within %v", a.opts.FirstTokenTimeout)) })
	defer first.Stop()
	stream, err := client.CreateChatCompletionStream(ctx, req)
	if err != nil {
		return a.explain(ctx, err)
	}
	defer stream.Close()
	next := time.AfterFunc(a.opts.TokenTimeout, func() { cancel(late("the language model fell silent for %v", a.opts.TokenTimeout)) })
	next.Stop() // until there is a token
	defer next.Stop()
	for {
		raw, err := stream.RecvRaw()
		if err != nil {
			return a.end(ctx, err)
		}
		c, err := decode(raw)
		if err != nil {
			return a.end(ctx, err)
		}
		token := a.isToken(c)
		if token { // no clock runs while others are busy with it
			first.Stop()
			next.Stop()
		}
		if err := a.take(c); err != nil {
			return err
		}
		switch {
		case a.reason != "":
			first.Stop()
			next.Reset(min(grace, a.opts.TokenTimeout))
		case token:
			next.Reset(a.opts.TokenTimeout)
		}
	}
}

func (a *attempt) isToken(c chunk) bool {
	for _, choice := range c.Choices {
		if choice.Index == 0 && choice.Delta.token() {
			return true
		}
	}
	return false
}

// take takes a chunk in.
func (a *attempt) take(c chunk) error {
	if c.Model != "" {
		a.model = c.Model
	}
	if c.Usage != nil {
		a.usage = c.Usage
	}
	for _, choice := range c.Choices {
		if choice.Index != 0 {
			continue // one answer was asked for
		}
		if choice.Finish != "" {
			a.reason = choice.Finish
		}
		a.started = a.started || choice.Delta.token()
		for _, d := range choice.Delta.ToolCalls {
			if err := a.calls.add(d); err != nil {
				return err
			}
		}
		if err := a.say(choice.Delta.Content + choice.Delta.Refusal); err != nil {
			return err
		}
	}
	return nil
}

// say hands on a piece of text, without what databases cannot keep.
func (a *attempt) say(text string) error {
	if text = strings.ReplaceAll(text, "\x00", ""); text == "" {
		return nil
	}
	a.text.WriteString(text)
	return a.emit(text)
}

// end decides what the end of a stream means. After the finish reason nothing
// can go wrong any more: a usage that does not come is estimated.
func (a *attempt) end(ctx context.Context, err error) error {
	if a.reason == "" {
		return a.explain(ctx, err)
	}
	a.answer.Finish = finish(a.reason)
	calls := a.calls.finish(a.answer.Finish == provider.Length)
	a.answer.ToolCalls = calls
	switch {
	case len(calls) > 0 && a.answer.Finish == provider.Stop:
		a.answer.Finish = provider.ToolCalls
	case len(calls) == 0 && a.answer.Finish == provider.ToolCalls:
		a.answer.Finish = provider.Stop
	}
	return nil
}

// explain is the error of a stream that did not get to its end.
func (a *attempt) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, io.EOF) {
		err = brokeOff(nil)
	}
	return a.opts.understand(err)
}

// response is what there is of the answer.
func (a *attempt) response(r provider.Request) provider.Response {
	answer := a.answer
	answer.Text, answer.Model = a.text.String(), a.model
	if answer.Model == "" {
		answer.Model = r.Model
	}
	switch {
	case a.usage != nil && a.usage.sound():
		answer.Usage = provider.Usage{Prompt: a.usage.Prompt, Completion: a.usage.Completion}
	case a.started || answer.Finish != "":
		answer.Usage = provider.Estimate(r, answer)
	}
	return answer
}
