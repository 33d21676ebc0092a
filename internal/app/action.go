package app

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/accounts"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/rawws"
)

// newAccounts builds the accounts of the dialect action, unless nobody could
// register.
func (a *App) newAccounts(out *publisher) error {
	c := a.opts.Config.WebSocket
	if !slices.Contains(c.Dialects, string(rawws.Action)) {
		return nil
	}
	if c.Action.APIKey == "" {
		a.log.Info("the dialect action is not spoken: set websocket.action.apiKey or apiKeyFile to have it")
		return nil
	}
	if _, err := a.models.Find(c.Action.Model); err != nil {
		return fmt.Errorf("websocket.action.model: %w", err)
	}
	secret, err := a.actionSecret()
	if err != nil {
		return err
	}
	a.accounts = accounts.New(accounts.Options{
		Store: a.db.Accounts(), Model: personas{a.models, c.Action.Model, c.Action.MaxTokens, a.budget()},
		APIKey: string(c.Action.APIKey), Secret: secret, Owner: a.instances.ID, Tenant: c.Action.Tenant, Accounts: c.Action.Accounts, TokenLife: c.Action.TokenLife,
		Timeout: c.Action.Timeout, Waiting: c.Action.Waiting, Decisions: c.Action.Decisions, History: c.Action.History,
		Failures: auth.FailureOptions(c.Action.Failures), Logger: a.log,
		Told: func(c accounts.Account, status string) { out.characterStatus(c, status, a.log) },
	})
	return nil
}

// minActionSecret is the size of the hash that is keyed with it.
const minActionSecret = 32

// actionSecret returns the secret of the configuration. A server whose database
// is its own makes one on first use, and keeps it beside the database, where only
// the owner can read it.
func (a *App) actionSecret() ([]byte, error) {
	c := a.opts.Config
	secret := string(c.WebSocket.Action.Secret)
	if secret == "" && c.Store.Driver == config.SQLite {
		raw, err := readOrMakeSecret(filepath.Join(c.Server.Data, "action-secret"))
		if err != nil {
			return nil, fmt.Errorf("websocket.action.secret: %w", err)
		}
		secret = strings.TrimSpace(string(raw))
	}
	if n := len(secret); n < minActionSecret {
		return nil, fmt.Errorf("websocket.action.secret: has %d bytes, at least %d are needed, the same for all servers that share a database", n, minActionSecret)
	}
	return []byte(secret), nil
}

// actionDialect is the dialect, if it is spoken.
func (a *App) actionDialect() []rawws.Dialect {
	if a.accounts == nil {
		return nil
	}
	return []rawws.Dialect{rawws.NewAction(rawws.ActionOptions{
		Accounts: actionAccounts{a.accounts}, Decisions: a.accounts, Silent: a.opts.Config.WebSocket.Action.Silent,
	})}
}

// actionAccounts are accounts as the dialect needs them.
type actionAccounts struct{ *accounts.Service }

var (
	_ rawws.Accounts  = actionAccounts{}
	_ rawws.Decisions = (*accounts.Service)(nil)
)

// Register implements [rawws.Accounts].
func (a actionAccounts) Register(ctx context.Context, address string, r rawws.Registration) (string, error) {
	return a.Service.Register(ctx, address, accounts.Registration(r))
}

// personas are models that answer as somebody.
type personas struct {
	provider  provider.Provider
	model     string
	maxTokens int
	budget    chat.Budget // accounts count
}

var _ accounts.Model = personas{}

// Answer implements [accounts.Model]. An answer that broke off is none.
func (p personas) Answer(ctx context.Context, prompt accounts.Prompt) (accounts.Answer, error) {
	if err := p.budget.Left(ctx, prompt.Tenant); err != nil {
		return accounts.Answer{}, err
	}
	r := provider.Request{
		Model: p.model, System: prompt.System, MaxTokens: p.maxTokens, User: provider.HashUser(prompt.Tenant, prompt.Account),
	}
	for _, x := range prompt.Said {
		r.Messages = append(r.Messages, provider.Message{Role: provider.User, Text: x.Message}, provider.Message{Role: provider.Assistant, Text: x.Answer})
	}
	r.Messages = append(r.Messages, provider.Message{Role: provider.User, Text: prompt.Message})
	answer, err := p.provider.Stream(ctx, r, func(string) error { return nil })
	if err != nil {
		return accounts.Answer{}, err
	}
	return accounts.Answer{Text: answer.Text, Prompt: answer.Usage.Prompt, Completion: answer.Usage.Completion}, nil
}
