package builtin_test

import (
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/chat/provider/builtin"
	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
)

func TestContract(t *testing.T) { providertest.Contract(t, builtin.Provider{}, builtin.Model) }

func TestAnswers(t *testing.T) {
	const notice = "No language model is configured on this server, so this prompt was not answered:"
	for _, tt := range []struct {
		prompt string
		max    int
		want   string
		finish provider.FinishReason
	}{
		{" What is 1 + 1? ", 0, notice + " What is 1 + 1?", provider.Stop},
		{"x", 3, "No language model", provider.Length},
		{"x", 100, notice + " x", provider.Stop},
		{"", 0, notice, provider.Stop},
		{strings.Repeat("ü", 100), 0, notice + " " + strings.Repeat("ü", 80) + "…", provider.Stop},
	} {
		r := provider.Request{MaxTokens: tt.max, Messages: []provider.Message{{Role: provider.User, Text: tt.prompt}}}
		got, err := builtin.Provider{}.Stream(t.Context(), r, func(string) error { return nil })
		if err != nil || got.Text != tt.want || got.Finish != tt.finish || got.Usage.Completion != len(strings.Fields(tt.want)) || got.Model != builtin.Model {
			t.Errorf("%+v: %+v %v", tt, got, err)
		}
	}
}
