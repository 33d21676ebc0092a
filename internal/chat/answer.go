package chat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
)

// answer gives the one answer to a message, while it is this instance's to
// give.
func (s *Service) answer(t Turn) {
	ctx, stop := context.WithCancelCause(s.term())
	defer stop(nil)
	defer s.take(t, stop)()
	if t.Message.Owner != s.opts.Owner() {
		return // lost before its turn came
	}
	if s.slots.Acquire(ctx, t.Room.Tenant) {
		defer s.slots.Release(t.Room.Tenant)
	} else if errors.Is(context.Cause(ctx), errLost) {
		return // it may be another's by now
	}
	out, stopped, err := s.begin(s.term(), t)
	if err != nil {
		s.notBegun(t, err)
		return
	}
	if stopped {
		stop(ErrStopped)
	}
	reply := s.replyTo(ctx, t, out)
	head, err := out.close()
	if errors.Is(err, ErrAnswered) {
		s.opts.Logger.Warn("message is answered elsewhere", "room", t.Room.ID, "seq", t.Message.Seq)
		return
	}
	s.say(t.Room, t.Message, reply, head)
}

// notBegun says why a turn did not begin.
func (s *Service) notBegun(t Turn, err error) {
	log := s.opts.Logger.With("room", t.Room.ID, "tenant", t.Room.Tenant, "seq", t.Message.Seq)
	if errors.Is(err, ErrAnswered) {
		log.Warn("message is answered elsewhere")
		return
	}
	log.Error("message could not be answered", "error", err) // it is abandoned, and taken up later
}

// replyTo asks the assistant, unless the turn was stopped, and sees to it that
// what was said on the way is what the answer says.
func (s *Service) replyTo(ctx context.Context, t Turn, out *stream) Reply {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	var reply Reply
	err := ctx.Err()
	if err == nil {
		reply, err = s.reply(ctx, t, out)
	}
	said := out.said()
	reply.Text = clean(reply.Text)
	if err != nil || !strings.HasPrefix(reply.Text, said) {
		reply.Text = said
	}
	reply = s.finish(ctx, t, reply, err)
	out.Text(strings.TrimPrefix(reply.Text, said)) // its error is told by close
	return reply
}

// say stores and publishes what the assistant says to a message. What cannot
// be stored is not published: another instance might answer too.
func (s *Service) say(r Room, to Message, reply Reply, head uint64) {
	log := s.opts.Logger.With("room", r.ID, "tenant", r.Tenant)
	end := s.end(r, to, reply)
	end.Seq, end.Prev = head+1, head
	after := Aftermath{Tenant: r.Tenant, Usage: reply.Usage}
	for _, p := range reply.Propose {
		after.Approvals = append(after.Approvals, s.approval(r, p))
	}
	m, err := s.store(to, Message{RoomID: r.ID, Speaker: Bot, Text: reply.Text, ReplyTo: to.Seq, At: time.Now().UTC(), Finish: reply.Finish}, end, after)
	if errors.Is(err, ErrAnswered) {
		log.Warn("message is answered elsewhere", "seq", to.Seq)
		return
	}
	if err != nil {
		log.Error("answer was not stored", "error", err)
		return
	}
	s.publishEntry(r.ID, end)
	s.typing(r.ID, false)
	s.publishMessage(m)
	for _, a := range after.Approvals {
		s.publishApproval(a)
	}
}

// end is the end of the stream of a turn.
func (s *Service) end(r Room, to Message, reply Reply) Entry {
	p := events.AIChatBotStreamEnd{ChatRoomID: r.ID, ReplyTo: to.Seq, Text: reply.Text, FinishReason: string(reply.Finish), Model: reply.Model}
	if u := reply.Usage; u != (Usage{}) {
		p.Usage = &events.ChatUsage{Prompt: u.Prompt, Completion: u.Completion, Estimated: u.Estimated}
	}
	return payload(StreamEnd, to.Seq, p)
}

// store stores an answer. While the store is away it tries again, until the
// message is no longer this instance's or the service must end.
func (s *Service) store(to, answer Message, end Entry, after Aftermath) (Message, error) {
	ctx := s.term()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		// The answer belongs to the conversation even if the time is over.
		m, err := s.opts.Store.Answer(context.WithoutCancel(ctx), to, answer, end, after)
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

// reply asks the assistant. A panic is one bad answer, not the end of the server.
func (s *Service) reply(ctx context.Context, t Turn, out Out) (reply Reply, err error) {
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
	if t.History, err = s.earlier(ctx, t.Message); err != nil {
		return Reply{}, err
	}
	if t.Approval, err = s.decided(ctx, &t); err != nil {
		return Reply{}, err
	}
	return s.opts.Assistant.Reply(ctx, t, out)
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

// abandonedPage is how many messages are taken over at a time.
const abandonedPage = 100

// Recover answers what instances that are gone have left without an answer.
func (s *Service) Recover(ctx context.Context) error {
	owner := s.opts.Owner()
	if owner == "" {
		return nil
	}
	for {
		messages, err := s.opts.Store.Abandoned(ctx, abandonedPage)
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
		if taken < abandonedPage {
			return nil
		}
	}
}

// takeOver ends the turn of a message whose owner is gone, unless another
// instance does. What was said of the answer is kept.
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
	if !taken {
		return false, nil
	}
	m.Owner = owner
	return true, s.interrupt(ctx, r, m)
}

// interrupt ends a turn that nobody goes on with.
func (s *Service) interrupt(ctx context.Context, r Room, m Message) error {
	start := payload(StreamStart, m.Seq, events.AIChatBotStreamStart{ChatRoomID: r.ID, ReplyTo: m.Seq})
	head, _, err := s.opts.Store.BeginTurn(ctx, m, start)
	if errors.Is(err, ErrBusy) || errors.Is(err, ErrAnswered) {
		return nil // another is looked at first
	}
	if err != nil {
		return fmt.Errorf("taking over a turn: %w", err)
	}
	said, err := s.saidBefore(ctx, m)
	if err != nil {
		return err
	}
	out := newStream(s, Turn{Room: r, Message: m}, head)
	out.goOnAfter(said)
	last := interrupted
	if said != "" {
		last = "\n\n" + interrupted
	}
	out.Text(last) // its error is told by close
	if head, err = out.close(); errors.Is(err, ErrAnswered) {
		return nil
	}
	s.say(r, m, Reply{Text: said + last, Finish: FinishInterrupted}, head)
	return nil
}

// saidBefore returns what the stream has of an answer.
func (s *Service) saidBefore(ctx context.Context, m Message) (string, error) {
	entries, err := s.Streamed(ctx, m.RoomID, 0, math.MaxInt64)
	if err != nil {
		return "", fmt.Errorf("reading the stream of chat room %s: %w", m.RoomID, err)
	}
	var text strings.Builder
	for _, e := range entries {
		if e.Turn == m.Seq && e.Kind == Delta {
			text.WriteString(decode[events.AIChatBotStreamDelta](e).Text)
		}
	}
	return text.String(), nil
}

// Lost gives up every message that waits for an answer of this instance: they
// may be others' from now on. Answers under way are cut short. It does not
// wait for anything.
func (s *Service) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.turns {
		t.stop(errLost)
	}
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
