package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
)

// A Model answers as a character.
type Model interface {
	Answer(ctx context.Context, p Prompt) (Answer, error)
}

// A Prompt is what a character has to answer.
type Prompt struct {
	// System says who it is.
	System string
	// Said is what went before, oldest first.
	Said    []Exchange
	Message string
	// Tenant and Account are whose it is.
	Tenant, Account string
}

// An Answer is what a model said, and the tokens that it took.
type Answer struct {
	Text               string
	Prompt, Completion int
}

const (
	// maxSaid bounds what a model is told of what went before, in bytes.
	maxSaid = 32 << 10
	// maxAnswer bounds an answer, in bytes: it is one message.
	maxAnswer = 64 << 10
	// grace is how long storing a decision may take, and a turn that could not be
	// given back is kept beyond the end of the decision.
	grace = 5 * time.Second
)

// maxLines bounds the decisions that are made and wait, for each one that may
// be made at once.
const maxLines = 16

// Decide has an account answer a message. What is wrong with the request is
// returned; else done is called once, from another goroutine, unless ctx or the
// service ends before. Decisions of an account are made one after the other, in
// the order of the calls.
func (s *Service) Decide(ctx context.Context, address, token, message string, done func(answer string, err error)) error {
	a, err := s.verify(ctx, address, token)
	if err != nil {
		return err
	}
	if err := checkText("message", message, maxText); err != nil {
		return err
	}
	if err := s.enter(a.ID); err != nil {
		return err
	}
	turn := s.slots.Enter(a.ID)
	deciding, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	stop := context.AfterFunc(s.base, cancel)
	go func() {
		defer s.running.Done()
		defer cancel()
		defer stop()
		var answer string
		err := fmt.Errorf("waiting for the turn: %w", context.DeadlineExceeded)
		if turn.Wait(deciding) {
			defer s.slots.Release(a.ID) // after done: who is next is told next
			answer, err = s.inTurn(deciding, a.ID, token, message)
		}
		s.leave(a.ID)
		if ctx.Err() != nil || s.base.Err() != nil {
			return // nobody is there to hear it
		}
		if err != nil {
			err = s.failed("a decision could not be made", fmt.Errorf("account %s: %w", a.ID, err))
		}
		done(answer, err)
	}()
	return nil
}

// enter counts a decision in, unless too many wait.
func (s *Service) enter(account string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.base.Err() != nil:
		return events.Errorf(events.CodeConflict, "the server is stopping: connect again in a moment")
	case s.lines[account] > s.opts.Waiting:
		return events.Errorf(events.CodeRateLimited, "%d decisions of this account wait already: wait for an answer", s.opts.Waiting)
	case s.all >= maxLines*s.opts.Decisions:
		return events.Errorf(events.CodeRateLimited, "too many decisions wait: try again in a moment")
	}
	s.lines[account]++
	s.all++
	s.running.Add(1)
	return nil
}

func (s *Service) leave(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.lines[account]--; s.lines[account] == 0 {
		delete(s.lines, account)
	}
}

// The times between two attempts to get the turn of an account that another
// instance has.
const (
	firstPoll = 20 * time.Millisecond
	lastPoll  = 250 * time.Millisecond
)

// inTurn makes a decision when no other instance makes one.
func (s *Service) inTurn(ctx context.Context, account, token, message string) (answer string, err error) {
	holder := ""
	for poll := firstPoll; ; poll = min(2*poll, lastPoll) {
		mine := false
		if holder = s.opts.Owner(); holder != "" {
			if mine, err = s.opts.Store.TakeTurn(ctx, account, holder, s.opts.Timeout+grace); err != nil {
				return "", fmt.Errorf("taking the turn: %w", err)
			}
		}
		if mine {
			break
		}
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for another instance: %w", ctx.Err())
		}
	}
	var made *Exchange
	defer func() {
		// It was made, or the turn is to be given back, whatever has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
		defer cancel()
		if ending := s.opts.Store.EndTurn(ctx, account, holder, made, s.opts.History); err == nil && ending != nil {
			answer, err = "", fmt.Errorf("storing a decision: %w", ending)
		}
	}()
	if made, err = s.ask(ctx, account, token, message); err != nil {
		return "", err
	}
	return made.Answer, nil
}

// ask has the model answer, whose panic is the failure of one decision.
func (s *Service) ask(ctx context.Context, account, token, message string) (x *Exchange, err error) {
	defer func() {
		if p := recover(); p != nil {
			x, err = nil, fmt.Errorf("the model panicked: %v", p)
		}
	}()
	a, err := s.opts.Store.Account(ctx, account)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !a.has(token):
		return nil, ended() // while it waited
	case err != nil:
		return nil, err
	}
	said, err := s.opts.Store.Exchanges(ctx, account, s.opts.History)
	if err != nil {
		return nil, err
	}
	s.opts.Told(a, Deciding)
	defer s.opts.Told(a, Idle)
	answer, err := s.opts.Model.Answer(ctx, Prompt{
		System: "Your name is " + a.Name + ".\n\n" + a.Prompt, Said: newest(said, maxSaid), Message: message, Tenant: a.Tenant, Account: a.ID,
	})
	switch text := strings.ToValidUTF8(strings.ReplaceAll(answer.Text, "\x00", ""), "\uFFFD"); {
	case err != nil:
		return nil, err
	case text == "":
		return nil, errors.New("the model said nothing")
	case len(text) > maxAnswer:
		return nil, fmt.Errorf("the model said %d bytes, and may say %d", len(text), maxAnswer)
	default:
		return &Exchange{Message: message, Answer: text, At: s.opts.Now(), Prompt: answer.Prompt, Completion: answer.Completion}, nil
	}
}

// newest returns the last exchanges that have so many bytes together.
func newest(said []Exchange, most int) []Exchange {
	for i := len(said) - 1; i >= 0; i-- {
		if most -= len(said[i].Message) + len(said[i].Answer); most < 0 {
			return said[i+1:]
		}
	}
	return said
}
