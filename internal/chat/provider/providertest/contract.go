package providertest

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// Contract shows that a provider keeps its promises. The model must answer any
// message with more than five tokens of text; the replies of a [Server] without
// rules do.
func Contract(t *testing.T, p provider.Provider, model string) {
	t.Run("an answer is what was streamed", func(t *testing.T) { answers(t, p, ask(model)) })
	t.Run("the same request may be sent again, and by many", func(t *testing.T) { many(t, p, model) })
	t.Run("a limit of tokens cuts the answer", func(t *testing.T) { limits(t, p, model) })
	t.Run("emit ends it", func(t *testing.T) { emitEnds(t, p, model) })
	t.Run("the context ends it", func(t *testing.T) { contextEnds(t, p, model) })
	t.Run("bad requests are refused", func(t *testing.T) { refuses(t, p, model) })
	t.Run("results of tools are taken", func(t *testing.T) {
		r := ask(model)
		r.Tools = []provider.Tool{{Name: "clock"}, {Name: "find", Description: "finds", Parameters: []byte(`{"type": "object"}`)}}
		r.Messages = append(
			r.Messages,
			provider.Message{Role: provider.Assistant, ToolCalls: []provider.ToolCall{{ID: "1", Name: "clock", Arguments: []byte(`{}`)}}},
			provider.Message{Role: provider.ToolRole, ToolCallID: "1"},
			provider.Message{Role: provider.User, Text: "and what now, if I may ask?"},
		)
		answers(t, p, r)
	})
}

func ask(model string) provider.Request {
	return provider.Request{
		Model: model, System: "Be brief.", User: provider.HashUser("acme", "ada"),
		Messages: []provider.Message{
			{Role: provider.User, Text: "Good morning"},
			{Role: provider.Assistant, Text: "Good morning!"},
			{Role: provider.User, Text: "Say something of more than five words, with an ü and \xff in it."},
		},
	}
}

func answers(t *testing.T, p provider.Provider, r provider.Request) provider.Response {
	t.Helper()
	var text strings.Builder
	pieces := 0
	answer, err := p.Stream(t.Context(), r, func(s string) error {
		if s == "" || !utf8.ValidString(s) {
			t.Errorf("a piece is %q", s)
		}
		pieces++
		text.WriteString(s)
		return nil
	})
	switch {
	case err != nil:
		t.Error(err)
	case answer.Text != text.String() || pieces < 6:
		t.Errorf("%d pieces are %q, the answer is %q", pieces, text.String(), answer.Text)
	case answer.Finish != provider.Stop || len(answer.ToolCalls) > 0 || answer.Model == "":
		t.Errorf("%+v", answer)
	case answer.Usage.Prompt <= 0 || answer.Usage.Completion <= 0:
		t.Errorf("usage %+v", answer.Usage)
	}
	return answer
}

func many(t *testing.T, p provider.Provider, model string) {
	r := ask(model)
	first := answers(t, p, r)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if again := answers(t, p, r); again.Text != first.Text {
				t.Errorf("%q, and then %q", first.Text, again.Text)
			}
		})
	}
	group.Wait()
	if !reflect.DeepEqual(r, ask(model)) {
		t.Error("the request was changed")
	}
}

func limits(t *testing.T, p provider.Provider, model string) {
	r := ask(model)
	r.MaxTokens = 3
	answer, err := p.Stream(t.Context(), r, func(string) error { return nil })
	if err != nil || answer.Finish != provider.Length || answer.Usage.Completion > 3 || answer.Text == "" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func emitEnds(t *testing.T, p provider.Provider, model string) {
	enough := errors.New("enough")
	var text string
	answer, err := p.Stream(t.Context(), ask(model), func(s string) error {
		if text += s; len(strings.Fields(text)) == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || answer.Text != text || answer.Finish != "" || answer.Usage.Completion == 0 {
		t.Errorf("%+v, %v", answer, err)
	}
}

func contextEnds(t *testing.T, p provider.Provider, model string) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer, err := p.Stream(ctx, ask(model), func(string) error {
		cancel()
		return ctx.Err() // as who uses the context himself would
	})
	if !errors.Is(err, context.Canceled) || answer.Text == "" || answer.Finish != "" {
		t.Errorf("%+v, %v", answer, err)
	}
	answer, err = p.Stream(ctx, ask(model), func(string) error {
		t.Error("a piece of an answer for nobody")
		return nil
	})
	if !errors.Is(err, context.Canceled) || answer.Text != "" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func refuses(t *testing.T, p provider.Provider, model string) {
	hot := 2.5
	for name, change := range map[string]func(*provider.Request){
		"no messages":          func(r *provider.Request) { r.Messages = nil },
		"an unknown role":      func(r *provider.Request) { r.Messages[0].Role = "king" },
		"a result of no call":  func(r *provider.Request) { r.Messages[2].Role = provider.ToolRole },
		"a call by a user":     func(r *provider.Request) { r.Messages[2].ToolCalls = []provider.ToolCall{{ID: "1", Name: "n"}} },
		"a tool without name":  func(r *provider.Request) { r.Tools = []provider.Tool{{}} },
		"too hot":              func(r *provider.Request) { r.Temperature = &hot },
		"fewer than no tokens": func(r *provider.Request) { r.MaxTokens = -1 },
	} {
		r := ask(model)
		change(&r)
		_, err := p.Stream(t.Context(), r, func(string) error { return nil })
		if e, ok := errors.AsType[*provider.Error](err); !ok || e.Kind != provider.BadRequest || e.Text == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
