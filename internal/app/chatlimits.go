package app

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/moderation"
	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/config"
)

// newModeration builds the client of who judges what is said in conversations,
// without asking anybody; nil if nobody does.
func newModeration(c config.Moderation) (*moderation.Client, error) {
	if c.URL == "" {
		return nil, nil
	}
	client, err := moderation.New(moderation.Options{URL: c.URL, Key: string(c.Key), Timeout: c.Timeout})
	if err != nil {
		return nil, fmt.Errorf("chat.moderation.%w", err)
	}
	return client, nil
}

// budget is what tenants may take of models.
func (a *App) budget() chat.Budget {
	return chat.Budget{Store: a.db.Chats(), Tokens: a.opts.Config.Chat.TokensPerDay}
}

// moderator returns who judges; nil if nobody does.
func (a *App) moderator() chat.Moderator {
	if a.moderation == nil {
		return nil
	}
	return judge{a.moderation}
}

// judge is a moderation service as conversations need it.
type judge struct{ client *moderation.Client }

var _ chat.Moderator = judge{}

// Judge implements [chat.Moderator]. Users are told apart as models are told.
func (j judge) Judge(ctx context.Context, u chat.Utterance) (allowed bool, reason string, err error) {
	return j.client.Judge(ctx, moderation.Text{
		Tenant: u.Tenant, User: provider.HashUser(u.Tenant, u.User), Text: u.Text, Direction: string(u.Direction),
	})
}

// estimator guesses what turns took; nil if no model is asked.
func estimator(c config.Chat) func(chat.Turn, string) chat.Usage {
	if !asksModel(c) {
		return nil
	}
	return estimate
}

func estimate(t chat.Turn, said string) chat.Usage {
	var r provider.Request
	for _, m := range append(t.History, t.Message) {
		r.Messages = append(r.Messages, provider.Message{Text: m.Text})
	}
	u := provider.Estimate(r, provider.Response{Text: said})
	return chat.Usage{Prompt: u.Prompt, Completion: u.Completion, Estimated: u.Estimated}
}
