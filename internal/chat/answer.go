package chat

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// answer gives the one answer to a message, while it is this instance's to
// give.
func (s *Service) answer(t Turn) {
	ctx, cancel := context.WithTimeout(s.term(), s.opts.Timeout)
	defer cancel()
	if t.Message.Owner != s.opts.Owner() {
		return // lost before its turn came
	}
	reply, err := s.reply(ctx, t)
	if err != nil {
		reply = Reply{Text: s.apology(t, err)}
	}
	reply.Text = strings.ReplaceAll(reply.Text, "\x00", "") // no store takes it
	if reply.Text == "" {
		reply.Text = "I have nothing to say to that."
	}
	s.say(t.Room, t.Message, reply)
}

// say stores and publishes what the assistant says to a message. What cannot
// be stored is not published: another instance might answer too.
func (s *Service) say(r Room, to Message, reply Reply) {
	log := s.opts.Logger.With("room", r.ID, "tenant", r.Tenant)
	m, err := s.store(to, Message{RoomID: r.ID, Speaker: Bot, Text: reply.Text, At: time.Now().UTC()}, reply.Propose)
	if errors.Is(err, ErrAnswered) {
		log.Warn("message is answered elsewhere", "seq", to.Seq)
		return
	}
	if err != nil {
		log.Error("answer was not stored", "error", err)
		return
	}
	if err := s.opts.Publisher.Publish(events.ChatRoom(r.ID), s.position(m), events.AIChatBotMessage{Text: reply.Text, ChatRoomID: r.ID}); err != nil {
		log.Error("answer was not published", "error", err)
	}
}

// store stores an answer. While the store is away it tries again, until the
// message is no longer this instance's or the service must end.
func (s *Service) store(to, answer Message, p *Proposal) (Message, error) {
	ctx := s.term()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		// The answer belongs to the conversation even if the time is over.
		m, err := s.opts.Store.Answer(context.WithoutCancel(ctx), to, answer, p)
		var refused *events.Error
		if err == nil || errors.Is(err, ErrAnswered) || errors.Is(err, ErrNotFound) || errors.As(err, &refused) {
			return m, err
		}
		s.opts.Logger.Warn("answer could not be stored yet", "room", to.RoomID, "error", err)
		select {
		case <-ctx.Done():
			return m, err
		case <-time.After(pause):
		}
	}
}

// position is where a message of the assistant stands in its room: those of
// users are numbered too, but not published.
func (s *Service) position(m Message) cluster.Position {
	prev, err := s.opts.Store.AnswerBefore(context.WithoutCancel(s.term()), m.RoomID, m.Seq)
	if err != nil {
		s.opts.Logger.Error("previous answer was not found", "room", m.RoomID, "error", err)
		prev = m.Seq // nobody knows
	}
	return cluster.Position{Offset: m.Seq, Prev: prev}
}

// reply asks the assistant. A panic is one bad answer, not the end of the server.
func (s *Service) reply(ctx context.Context, t Turn) (reply Reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if s.opts.Holds != nil {
		if err := s.opts.Holds(t.Identity); err != nil {
			return Reply{}, err
		}
	}
	if t.Proposal, err = s.proposal(ctx, &t.Message); err != nil {
		return Reply{}, err
	}
	return s.opts.Assistant.Reply(ctx, t)
}

// proposal returns what the action of a message is about. Saying yes or no to
// a proposal is as good as the action.
func (s *Service) proposal(ctx context.Context, m *Message) (*Proposal, error) {
	p, err := s.opts.Store.Proposal(ctx, m.RoomID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading proposal: %w", err)
	}
	if m.Action == None {
		m.Action = spoken[strings.ToLower(strings.Trim(m.Text, " .!"))]
	}
	if m.Action == Approve || m.Action == Reject {
		p, err = s.opts.Store.TakeProposal(ctx, m.RoomID)
		if errors.Is(err, ErrNotFound) {
			return nil, nil // somebody else was faster
		}
	}
	return &p, err
}

var spoken = map[string]Action{
	"approve": Approve, "yes": Approve, "yes please": Approve, "yes, please": Approve, "ok": Approve, "do it": Approve,
	"reject": Reject, "no": Reject, "no thanks": Reject, "no, thanks": Reject, "don't": Reject,
	"test": Test, "try it": Test,
}

// apology is the answer when there is none, and logs why.
func (s *Service) apology(t Turn, err error) string {
	log := s.opts.Logger.With("room", t.Room.ID, "tenant", t.Room.Tenant, "user", t.Identity.User)
	var e *events.Error
	switch {
	case errors.As(err, &e):
		log.Info("message could not be answered", "code", e.Code, "reason", e.Message)
		return "That did not work: " + e.Message + "."
	case errors.Is(err, context.DeadlineExceeded):
		log.Warn("answer took too long", "limit", s.opts.Timeout)
		return fmt.Sprintf("I could not answer within %v. Please try again.", s.opts.Timeout)
	case errors.Is(err, context.Canceled):
		return interrupted
	}
	log.Error("message could not be answered", "error", err)
	return "Something went wrong on the server while answering. Its log says more; please try again."
}

const interrupted = "I was interrupted before I could answer. Please ask again."

// batch is how many messages are taken over at a time.
const batch = 100

// Recover answers what instances that are gone have left without an answer.
func (s *Service) Recover(ctx context.Context) error {
	owner := s.opts.Owner()
	if owner == "" {
		return nil
	}
	for {
		messages, err := s.opts.Store.Abandoned(ctx, batch)
		if err != nil {
			return fmt.Errorf("looking for unanswered messages: %w", err)
		}
		taken := 0
		for _, m := range messages {
			ok, err := s.takeOver(ctx, m, owner)
			if err != nil {
				return err
			}
			if ok {
				taken++
			}
		}
		if taken < batch {
			return nil
		}
	}
}

// takeOver answers a message whose owner is gone, unless another instance
// does.
func (s *Service) takeOver(ctx context.Context, m Message, owner string) (bool, error) {
	if m.Owner == owner {
		return false, nil // without other instances the owner is nowhere to be found
	}
	r, err := s.opts.Store.Room(ctx, m.RoomID)
	if err != nil {
		return false, fmt.Errorf("reading chat room %s: %w", m.RoomID, err)
	}
	taken, err := s.opts.Store.Take(ctx, m, owner)
	if err != nil {
		return false, fmt.Errorf("taking over a message: %w", err)
	}
	if taken {
		m.Owner = owner
		s.say(r, m, Reply{Text: interrupted})
	}
	return taken, nil
}

// Lost gives up every message that waits for an answer of this instance: they
// may be others' from now on. Answers under way are cut short. It does not
// wait for anything.
func (s *Service) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel()
	if !s.closed {
		s.ctx, s.cancel = context.WithCancel(context.Background())
	}
	for _, q := range s.rooms {
		q.turns = nil
	}
}

// term is the context of what this instance does while it is there.
func (s *Service) term() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctx
}
