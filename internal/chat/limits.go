package chat

import (
	"context"

	"github.com/roomcast/roomcast/events"
)

// ask asks the assistant, if the tenant has tokens left.
func (s *Service) ask(ctx context.Context, t Turn, out Out) (Reply, error) {
	if err := s.withinBudget(ctx, t.Room.Tenant); err != nil {
		return Reply{}, err
	}
	s.logText(t, Prompt, t.Message.Text)
	return s.opts.Assistant.Reply(ctx, t, out)
}

// withinBudget refuses a turn of a tenant that has no tokens left.
func (s *Service) withinBudget(ctx context.Context, tenant string) error {
	err := Budget{s.opts.Store, s.opts.TokensPerDay}.Left(ctx, tenant)
	if e, meant := events.Public(err); err != nil && meant {
		return &refusal{"I cannot answer today any more: " + e.Message + "."}
	}
	return err
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
