package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// answer gives the one answer to a message, while it is this instance's to
// give.
func (s *Service) answer(t Turn) {
	ctx, stop := context.WithCancelCause(s.term())
	defer stop(nil)
	defer s.take(t, stop)()
	if owner := s.opts.Owner(); owner != "" && owner != t.Message.Owner {
		return // lost before its turn came
	} // and without one this instance may be there again at once: the store knows
	out, stopped, err := s.begin(s.term(), t)
	if err != nil {
		s.leaveOpen(t, err)
		return
	}
	if stopped {
		stop(ErrStopped)
	}
	// Only now: who waits for another turn of the room keeps nobody from a slot.
	if s.slots.Acquire(ctx, t.Room.Tenant) {
		defer s.slots.Release(t.Room.Tenant)
	} else if errors.Is(context.Cause(ctx), errLost) {
		out.close() // it may be another's by now
		return
	}
	defer s.counts.live()()
	reply := s.replyTo(ctx, t, out)
	head, err := out.close()
	if errors.Is(context.Cause(ctx), errGone) {
		return
	}
	if err != nil {
		s.leaveOpen(t, err)
		return
	}
	s.say(t.Room, t.Message, reply, head)
}

// leaveOpen says why a turn is not ended here.
func (s *Service) leaveOpen(t Turn, err error) {
	log := s.opts.Logger.With("room", t.Room.ID, "tenant", t.Room.Tenant, "seq", t.Message.Seq)
	if errors.Is(err, ErrAnswered) {
		log.Warn("message is answered elsewhere")
		return
	}
	if errors.Is(err, ErrNotFound) {
		log.Info("message is not answered, for its chat room is gone")
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
	// Whatever becomes of it: later turns have it among what was said before.
	err := s.judge(ctx, t.Room, t.Message, Prompt, t.Message.Text)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		reply, err = s.reply(ctx, t, out)
	}
	said, first := out.said()
	reply.Text = clean(reply.Text)
	if err != nil || !strings.HasPrefix(reply.Text, said) {
		reply.Text = said
	}
	if err == nil || said != "" {
		s.counts.first(first)
	}
	reply.Usage = s.taken(ctx, t, reply.Usage, said)
	// Also what was said until somebody stopped it.
	if no := s.judge(ctx, t.Room, t.Message, Completion, reply.Text); no != nil {
		err = no
	}
	s.logText(t, Completion, reply.Text)
	reply = s.finish(ctx, t, reply, err)
	reply.Text = clean(reply.Text) // errors may quote anything
	out.end(reply.Text)
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
	if errors.Is(err, ErrNotFound) {
		log.Info("answer was not stored, for its chat room is gone", "seq", to.Seq)
		return
	}
	if err != nil {
		log.Error("answer was not stored", "error", err)
		return
	}
	s.counts.ended(reply.Finish, reply.Usage)
	s.publishEntry(r.ID, end)
	s.typing(r.ID, false)
	s.publishMessage(m)
	for _, a := range after.Approvals {
		s.publishLive(a.RoomID, a.Required())
		s.notify(r, to.User, a)
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

// store stores an answer, which belongs to the conversation even if the time is
// over.
func (s *Service) store(to, answer Message, end Entry, after Aftermath) (m Message, err error) {
	log := s.opts.Logger.With("room", to.RoomID)
	err = s.untilStored(s.term(), log, func(ctx context.Context) error {
		m, err = s.opts.Store.Answer(ctx, to, answer, end, after)
		return err
	})
	return m, err
}

// untilStored stores something. While the store is away it tries again, until
// that is no longer this instance's to do or term ends.
func (s *Service) untilStored(term context.Context, log *slog.Logger, write func(ctx context.Context) error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := write(context.WithoutCancel(term))
		var refused *events.Error
		if err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrStopped) || errors.Is(err, ErrAnswered) || errors.Is(err, ErrNotFound) || errors.As(err, &refused) {
			return err
		}
		log.Warn("something could not be stored yet", "error", err)
		select {
		case <-term.Done():
			return err
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
	if err := s.stillMay(ctx, t.Identity, t.Room); err != nil {
		return Reply{}, err
	}
	if t.History, err = s.earlier(ctx, t.Message); err != nil {
		return Reply{}, err
	}
	if t.Approvals, err = s.opts.Store.RecentApprovals(ctx, t.Room.ID, recentApprovals); err != nil {
		return Reply{}, fmt.Errorf("reading approvals: %w", err)
	}
	if reply, decides, err := s.obey(ctx, t); decides || err != nil {
		return reply, err
	}
	if reply, err = s.ask(ctx, t, out); err != nil {
		return reply, err
	}
	reply.Propose, err = s.checked(ctx, t, reply.Propose)
	return reply, err
}

// stillMay refuses what somebody asked for a while ago who is not good for it any
// more.
func (s *Service) stillMay(ctx context.Context, id *auth.Identity, r Room) error {
	if s.opts.Holds != nil {
		if err := s.opts.Holds(id); err != nil {
			return err
		}
	}
	may, err := s.mayUse(ctx, id, r)
	if err == nil && !may {
		err = events.Errorf(events.CodePermissionDenied, "%s does not take part in the conversation any more", id.User)
	}
	return err
}

// apology is the answer when there is none, and logs why.
func (s *Service) apology(t Turn, err error) string {
	log := s.opts.Logger.With("room", t.Room.ID, "tenant", t.Room.Tenant, "user", t.Identity.User)
	var e *events.Error
	switch {
	case errors.As(err, &e):
		log.Info("message could not be answered", "code", e.Code) // the message of the error may quote what was said
		return "That did not work: " + e.Message + "."
	case errors.Is(err, context.DeadlineExceeded):
		log.Warn("answer took too long", "limit", s.opts.Timeout)
		return fmt.Sprintf("I could not answer within %v. Please try again.", s.opts.Timeout)
	case errors.Is(err, context.Canceled):
		return interrupted
	case errors.Is(err, ErrNotFound):
		log.Info("message is not answered, for its chat room is gone")
		return interrupted
	}
	log.Error("message could not be answered", "error", err)
	return "Something went wrong on the server while answering. Its log says more; please try again."
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
