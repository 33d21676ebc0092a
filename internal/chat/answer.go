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

// answer gives the one answer to a message.
func (s *Service) answer(t Turn) {
	ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
	defer cancel()
	reply, err := s.reply(ctx, t)
	if err != nil {
		reply = Reply{Text: s.apology(t, err)}
	}
	if reply.Text == "" {
		reply.Text = "I have nothing to say to that."
	}
	// The answer belongs to the conversation even if the time is over.
	s.say(context.WithoutCancel(ctx), t.Room, reply)
}

// say stores and publishes what the assistant says.
func (s *Service) say(ctx context.Context, r Room, reply Reply) {
	log := s.opts.Logger.With("room", r.ID, "tenant", r.Tenant)
	if reply.Propose != nil {
		if err := s.opts.Store.Propose(ctx, r.ID, *reply.Propose); err != nil {
			log.Error("proposal was not stored", "error", err)
			reply.Text = "I wanted to propose something, but it could not be stored. Please try again."
		}
	}
	m, err := s.opts.Store.Append(ctx, Message{RoomID: r.ID, Speaker: Bot, Text: reply.Text, At: time.Now().UTC()})
	if err != nil {
		log.Error("answer was not stored", "error", err) // and is sent all the same
	}
	if err := s.opts.Publisher.Publish(events.ChatRoom(r.ID), s.position(ctx, m), events.AIChatBotMessage{Text: reply.Text, ChatRoomID: r.ID}); err != nil {
		log.Error("answer was not published", "error", err)
	}
}

// position is where a message of the assistant stands in its room: those of
// users are numbered too, but not published.
func (s *Service) position(ctx context.Context, m Message) cluster.Position {
	if m.Seq == 0 {
		return cluster.Position{} // it was not stored
	}
	prev, err := s.opts.Store.AnswerBefore(ctx, m.RoomID, m.Seq)
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

// Recover answers what an earlier process left without an answer.
func (s *Service) Recover(ctx context.Context) error {
	rooms, err := s.opts.Store.Unanswered(ctx)
	if err != nil {
		return fmt.Errorf("looking for unanswered messages: %w", err)
	}
	for roomID, n := range rooms {
		r, err := s.opts.Store.Room(ctx, roomID)
		if err != nil {
			return fmt.Errorf("reading chat room %s: %w", roomID, err)
		}
		for range n {
			s.say(ctx, r, Reply{Text: interrupted})
		}
	}
	return nil
}
