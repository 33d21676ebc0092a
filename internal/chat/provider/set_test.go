package provider_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/chat/provider/builtin"
	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
)

// asked remembers what it was asked.
type asked struct{ provider.Request }

func (a *asked) Stream(_ context.Context, r provider.Request, _ func(string) error) (provider.Response, error) {
	a.Request = r
	return provider.Response{Model: "upstream says"}, nil
}

func TestSet(t *testing.T) {
	var p asked
	set, err := provider.NewSet(
		provider.Model{Name: "small", Provider: &p},
		provider.Model{Name: "large", Provider: &p, Upstream: "large-2026", MaxTokens: 100, Default: true},
	)
	if err != nil || set.Default() != "large" || strings.Join(set.Names(), " ") != "small large" {
		t.Fatal(err, set)
	}
	for _, tt := range []struct {
		model    string
		tokens   int
		upstream string
		limit    int
		name     string
	}{
		{"", 0, "large-2026", 100, "large"},
		{"large", 7, "large-2026", 7, "large"},
		{"large", 700, "large-2026", 100, "large"},
		{"small", 700, "small", 700, "small"},
	} {
		got, err := set.Stream(t.Context(), provider.Request{Model: tt.model, MaxTokens: tt.tokens}, nil)
		if err != nil || p.Model != tt.upstream || p.MaxTokens != tt.limit || got.Model != tt.name {
			t.Errorf("%+v: %+v %+v %v", tt, p, got, err)
		}
	}
	for name, want := range map[string]string{
		"smal":                   `there is no model "smal": did you mean "small"?`,
		"another":                `there is no model "another": the models here are small, large`,
		strings.Repeat("x", 999): `xxx…": the models here are`,
	} {
		_, err := set.Stream(t.Context(), provider.Request{Model: name}, nil)
		if e, ok := errors.AsType[*provider.Error](err); !ok || e.Kind != provider.BadRequest || !strings.Contains(e.Text, want) {
			t.Error(err)
		}
	}
}

func TestSetKeepsTheContract(t *testing.T) {
	set, err := provider.NewSet(provider.Model{Name: "m", Provider: builtin.Provider{}})
	if err != nil || set.Default() != "m" {
		t.Fatal(err)
	}
	providertest.Contract(t, set, "m")
	providertest.Contract(t, set, "")
}

func TestSetsThatCannotBe(t *testing.T) {
	m := provider.Model{Name: "m", Provider: builtin.Provider{}}
	n := provider.Model{Name: "n", Provider: builtin.Provider{}, Default: true}
	o := provider.Model{Name: "o", Provider: builtin.Provider{}, Default: true}
	for want, models := range map[string][]provider.Model{
		"no models": nil, `the name "m"`: {m, m}, "are the default": {n, o}, "no name": {{Provider: m.Provider}}, "no provider": {{Name: "x"}},
	} {
		if _, err := provider.NewSet(models...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestEstimate(t *testing.T) {
	r := provider.Request{System: "1234", Messages: []provider.Message{{Text: "12345"}}, Tools: []provider.Tool{{Name: "n", Parameters: []byte("{}")}}}
	answer := provider.Response{Text: "123", ToolCalls: []provider.ToolCall{{Name: "n", Arguments: []byte("{}")}}}
	if got := provider.Estimate(r, answer); got != (provider.Usage{Prompt: 3, Completion: 2, Estimated: true}) {
		t.Errorf("%+v", got)
	}
	if a, b := provider.HashUser("acme", "ada"), provider.HashUser("acm", "eada"); a == b || len(a) != 32 || strings.Contains(a, "ada") {
		t.Error(a, b)
	}
}
