package chat

import (
	"context"
	"fmt"
	"time"
)

// ask asks the assistant, if the tenant has tokens left.
func (s *Service) ask(ctx context.Context, t Turn, out Out) (Reply, error) {
	if err := s.withinBudget(ctx, t.Room.Tenant); err != nil {
		return Reply{}, err
	}
	s.logText(t, Prompt, t.Message.Text)
	return s.opts.Assistant.Reply(ctx, t, out)
}

// withinBudget refuses a turn of a tenant that has used all its tokens of the
// day. Turns that are under way when they run out go on.
func (s *Service) withinBudget(ctx context.Context, tenant string) error {
	if s.opts.TokensPerDay <= 0 {
		return nil
	}
	used, err := s.opts.Store.Used(ctx, tenant, time.Now())
	if err != nil {
		return fmt.Errorf("reading what was used today: %w", err)
	}
	if used.Prompt+used.Completion < s.opts.TokensPerDay {
		return nil
	}
	return &refusal{fmt.Sprintf("I cannot answer today any more: the %d tokens that tenant %s has for a day are used up. The next day begins at midnight UTC.", s.opts.TokensPerDay, tenant)}
}

// taken is what a turn took, as the assistant says, or else as can be guessed
// from what it said.
func (s *Service) taken(ctx context.Context, t Turn, told Usage, said string) Usage {
	if told != (Usage{}) || said == "" {
		return told
	}
	return s.guess(ctx, t, said)
}

// guess guesses what a turn took whose assistant cannot tell.
func (s *Service) guess(ctx context.Context, t Turn, said string) Usage {
	if s.opts.Estimate == nil {
		return Usage{}
	}
	var err error
	if t.History, err = s.earlier(context.WithoutCancel(ctx), t.Message); err != nil {
		s.opts.Logger.Warn("what an answer took is guessed without the messages before", "room", t.Room.ID, "error", err)
	}
	return s.opts.Estimate(t, said)
}

// logText logs what is said to the assistant, or by it, where that is wanted.
func (s *Service) logText(t Turn, d Direction, text string) {
	if s.opts.LogPrompts {
		s.opts.Logger.Info(string(d), "room", t.Room.ID, "tenant", t.Room.Tenant, "user", t.Message.User, "seq", t.Message.Seq, "text", text)
	}
}
