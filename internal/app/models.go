package app

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/chat/provider/builtin"
	"github.com/roomcast/roomcast/internal/chat/provider/openai"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/workflow/nodes"
)

// models are those of the configuration.
type models struct {
	*provider.Set
	remote []*openai.Provider
}

// newModels builds the models, without asking anybody. Without any there is the
// one that is built in.
func newModels(c []config.ChatModel, log *slog.Logger) (*models, error) {
	if len(c) == 0 {
		c = []config.ChatModel{{Name: builtin.Model, Provider: config.Builtin}}
	}
	m := &models{}
	list := make([]provider.Model, 0, len(c))
	for n, model := range c {
		p, err := m.open(model, log)
		if err != nil {
			return nil, fmt.Errorf("chat.models[%d].%w", n, err)
		}
		list = append(list, provider.Model{Name: model.Name, Provider: p, Upstream: model.Model, MaxTokens: model.MaxTokens, Default: model.Default})
	}
	var err error
	if m.Set, err = provider.NewSet(list...); err != nil {
		return nil, fmt.Errorf("chat.models: %w", err)
	}
	return m, nil
}

func (m *models) open(c config.ChatModel, log *slog.Logger) (provider.Provider, error) {
	if c.Provider == config.Builtin {
		return builtin.Provider{}, nil
	}
	o := openai.Options{
		URL: c.URL, Key: string(c.Key), Organization: c.Organization, MaxBytes: int64(c.MaxBytes), Retries: openai.Retries,
		Timeout: c.Timeout, ConnectTimeout: c.ConnectTimeout, FirstTokenTimeout: c.FirstTokenTimeout, TokenTimeout: c.TokenTimeout, Logger: log,
	}
	for _, h := range c.Headers {
		o.Headers = append(o.Headers, openai.Header{Name: h.Name, Value: string(h.Value)})
	}
	if c.Retries != nil {
		o.Retries = *c.Retries
	}
	p, err := openai.New(o)
	if err != nil {
		return nil, err
	}
	m.remote = append(m.remote, p)
	return p, nil
}

// Close closes connections that are not in use.
func (m *models) Close() {
	for _, p := range m.remote {
		p.Close()
	}
}

// CheckModels reports what is wrong with the models of a configuration.
func CheckModels(c []config.ChatModel) error {
	_, err := newModels(c, slog.New(slog.DiscardHandler))
	return err
}

// completions are models as ai nodes need them. Without a store nothing is
// counted.
type completions struct {
	provider.Provider
	budget chat.Budget
	log    *slog.Logger
}

var _ nodes.Assistant = completions{}

// Complete implements [nodes.Assistant]. An answer that broke off is none, and
// counted nevertheless.
func (c completions) Complete(ctx context.Context, p nodes.Prompt) (nodes.Completion, error) {
	if err := c.budget.Left(ctx, p.Tenant); err != nil {
		return nodes.Completion{}, err
	}
	answer, err := c.Stream(ctx, provider.Request{
		Model: p.Model, System: p.System, MaxTokens: p.MaxTokens, User: provider.HashUser(p.Tenant, p.User),
		Messages: []provider.Message{{Role: provider.User, Text: p.Text}},
	}, func(string) error { return nil })
	if c.budget.Store != nil {
		used := chat.Usage{Prompt: answer.Usage.Prompt, Completion: answer.Usage.Completion}
		if err := c.budget.Count(ctx, p.Tenant, used); err != nil {
			c.log.Warn("what a node took of a model is not counted", "tenant", p.Tenant, "error", err)
		}
	}
	if err != nil {
		return nodes.Completion{}, err
	}
	return nodes.Completion{Text: answer.Text, Model: answer.Model, FinishReason: string(answer.Finish)}, nil
}
