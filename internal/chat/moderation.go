package chat

import (
	"context"
	"errors"
)

// A Moderator decides what may be said to a model, and what a model may say.
// Its methods may be called concurrently.
type Moderator interface {
	// Judge reports whether a text may be said; if not, reason says why in a few
	// words for people, or is "". It returns within a time of its own.
	Judge(ctx context.Context, u Utterance) (allowed bool, reason string, err error)
}

// An Utterance is what is to be said.
type Utterance struct {
	Tenant, User string
	Direction    Direction
	Text         string
}

// Direction is where an utterance goes.
type Direction string

// The directions.
const (
	Prompt     Direction = "prompt"     // from a user to a model
	Completion Direction = "completion" // from a model to users
)

// A refusal ends a turn with a text for people. It is no failure.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

func isRefusal(err error) bool {
	_, is := errors.AsType[*refusal](err)
	return is
}

// judge asks the moderator, if there is one, and returns why something may not
// be said. It asks although somebody has stopped the turn: what was said is
// kept, and not for models if it may not be said.
func (s *Service) judge(ctx context.Context, r Room, m Message, d Direction, text string) error {
	if s.opts.Moderator == nil || text == "" {
		return nil
	}
	allowed, reason, err := s.opts.Moderator.Judge(context.WithoutCancel(ctx), Utterance{r.Tenant, m.User, d, text})
	if err != nil {
		s.counts.unjudged()
		s.opts.Logger.Warn("what is said was not judged", "room", r.ID, "tenant", r.Tenant, "seq", m.Seq, "direction", d, "said", s.opts.AllowUnjudged, "error", err)
		if s.opts.AllowUnjudged {
			return nil
		}
		return &refusal{unjudged[d]}
	}
	if allowed {
		return nil
	}
	if reason != "" {
		reason = ": " + clean(reason)
	}
	return &refusal{refused[d] + reason + "."}
}

var refused = map[Direction]string{
	Prompt:     "I may not answer that",
	Completion: "I may not say what I was going to say",
}

var unjudged = map[Direction]string{
	Prompt:     "I cannot answer now: whether I may answer that is asked first, and there was no reply. Please try again.",
	Completion: "I cannot say now what I was going to say: whether I may is asked first, and there was no reply. Please try again.",
}
