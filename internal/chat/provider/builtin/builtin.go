// Package builtin is the provider that has no model: it says that there is none
// and repeats what it was asked. It is always the same for the same question,
// and asks nobody.
package builtin

import (
	"context"
	"strings"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// Model is what the provider calls itself.
const Model = "builtin"

// quoted is how many characters of a question are repeated.
const quoted = 80

// Provider answers without a model.
type Provider struct{}

var _ provider.Provider = Provider{}

// Stream implements [provider.Provider], word by word and without a pause. It
// never asks for a tool, and counts a word as a token.
func (Provider) Stream(ctx context.Context, r provider.Request, emit func(string) error) (provider.Response, error) {
	if err := r.Check(); err != nil {
		return provider.Response{}, err
	}
	answer := provider.Response{Model: Model, Usage: provider.Usage{Prompt: promptWords(r)}}
	var text strings.Builder
	interrupted := func(err error) (provider.Response, error) {
		answer.Text, answer.Finish = text.String(), ""
		return answer, err
	}
	words := strings.Fields("No language model is configured on this server, so this prompt was not answered: " + question(r.Messages))
	answer.Finish = provider.Stop
	if r.MaxTokens > 0 && len(words) > r.MaxTokens {
		words, answer.Finish = words[:r.MaxTokens], provider.Length
	}
	for i, word := range words {
		if err := ctx.Err(); err != nil {
			return interrupted(err)
		}
		if i > 0 {
			word = " " + word
		}
		text.WriteString(word)
		answer.Usage.Completion++
		if err := emit(word); err != nil {
			return interrupted(err)
		}
	}
	answer.Text = text.String()
	return answer, nil
}

// question is the beginning of what a user said last.
func question(messages []provider.Message) string {
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role == provider.User {
			text := []rune(strings.TrimSpace(strings.ToValidUTF8(messages[i].Text, "\uFFFD")))
			if len(text) > quoted {
				return string(text[:quoted]) + "…"
			}
			return string(text)
		}
	}
	return ""
}

func promptWords(r provider.Request) int {
	n := len(strings.Fields(r.System))
	for _, m := range r.Messages {
		n += len(strings.Fields(m.Text))
	}
	return n
}
