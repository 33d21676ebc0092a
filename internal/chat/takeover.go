package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// What is said by who has said nothing else.
const (
	interrupted = "I was interrupted before I could answer. Please ask again."
	silenced    = "Stopped."
)

// abandonedPage is how many messages are taken over at a time.
const abandonedPage = 100

// Recover takes over what instances that are gone have left: it sees to it that
// their messages get an answer, does what they have left undone, and ends what
// has expired.
func (s *Service) Recover(ctx context.Context) error {
	owner := s.opts.Owner()
	if owner == "" {
		return nil
	}
	if err := s.expireApprovals(ctx); err != nil {
		return err
	}
	if err := s.takeUpDeeds(ctx, owner); err != nil {
		return err
	}
	for {
		messages, err := s.opts.Store.Abandoned(ctx, abandonedPage)
		if err != nil {
			return fmt.Errorf("looking for unanswered messages: %w", err)
		}
		taken, err := s.takeOver(ctx, messages, owner)
		if err != nil || taken < abandonedPage {
			return err
		}
	}
}

// takeOver takes messages, which are in the order of their rooms, and returns
// how many. Their turns end without the caller: an instance that is there may be
// answering an earlier message of the room.
func (s *Service) takeOver(ctx context.Context, messages []Message, owner string) (taken int, err error) {
	for len(messages) > 0 && err == nil {
		n := 1
		for n < len(messages) && messages[n].RoomID == messages[0].RoomID {
			n++
		}
		var in int
		in, err = s.takeOverRoom(ctx, messages[:n], owner)
		taken += in
		messages = messages[n:]
	}
	return taken, err
}

// takeOverRoom takes messages of one room, unless other instances do.
func (s *Service) takeOverRoom(ctx context.Context, messages []Message, owner string) (taken int, err error) {
	roomID := messages[0].RoomID
	r, err := s.opts.Store.Room(ctx, roomID)
	if errors.Is(err, ErrNotFound) {
		return 0, nil // it was deleted meanwhile
	}
	if err != nil {
		return 0, fmt.Errorf("reading chat room %s: %w", roomID, err)
	}
	q, err := s.hold(roomID)
	if err != nil {
		return 0, nil // this instance ends, too
	}
	var turns []Turn
	for _, m := range messages {
		if m.Owner == owner {
			continue // without other instances the owner is nowhere to be found
		}
		var ok bool
		ok, err = s.opts.Store.Take(ctx, m, owner)
		if m.Owner = owner; ok || err != nil { // or else its turn finds out that it is not
			turns = append(turns, Turn{Room: r, Message: m})
		}
		if err != nil {
			err = fmt.Errorf("taking over a message: %w", err)
			break
		}
	}
	go func() {
		defer s.drop(roomID, q)
		for _, t := range turns {
			s.interrupt(s.term(), t)
		}
	}()
	return len(turns), err
}

// uncertain sees to a message that was refused because nobody knows whether it
// was stored: if it was, the room waits for its answer.
func (s *Service) uncertain(r Room, key string) {
	q, err := s.hold(r.ID)
	if err != nil {
		return // this instance ends, and others take the message over
	}
	term := s.term()
	go func() {
		defer s.drop(r.ID, q)
		var m Message
		err := s.untilStored(term, s.opts.Logger.With("room", r.ID), func(ctx context.Context) (err error) {
			m, err = s.opts.Store.Said(ctx, r.ID, key)
			return err
		})
		if err == nil {
			s.publishMessage(m)
			s.interrupt(term, Turn{Room: r, Message: m})
		}
	}()
}

// interrupt ends a turn that nobody goes on with, or that somebody has stopped.
// What was said of the answer is kept.
func (s *Service) interrupt(ctx context.Context, t Turn) {
	head, stopped, err := s.awaitTurn(ctx, t.Message, startOf(t.Message))
	if err != nil {
		s.leaveOpen(t, err)
		return
	}
	entries, err := s.soFar(ctx, t.Message)
	if err != nil {
		s.leaveOpen(t, err)
		return
	}
	if len(entries) == 1 { // the start, which perhaps nobody has published
		entries[0].Prev = head - 1
		s.publishEntry(t.Room.ID, entries[0])
	}
	reply := s.interruption(ctx, t, entries, stopped)
	if head, err = s.sayRest(t, head, entries, reply.Text); err != nil {
		s.leaveOpen(t, err)
		return
	}
	s.say(t.Room, t.Message, reply, head)
}

// sayRest says what is missing of a text in a stream that got as far as its
// entries say, and returns the number of the latest.
func (s *Service) sayRest(t Turn, head uint64, entries []Entry, text string) (uint64, error) {
	out := newStream(s, t, head)
	said, _ := saidIn(entries)
	out.goOnAfter(said)
	out.end(text)
	return out.close()
}

// interruption is the reply of a turn that got as far as its entries say.
func (s *Service) interruption(ctx context.Context, t Turn, entries []Entry, stopped bool) Reply {
	text, usedTools := saidIn(entries)
	reply := Reply{Text: interrupted, Finish: FinishInterrupted}
	// Who took the turn over before may have got as far as saying so.
	said := strings.TrimSuffix(strings.TrimSuffix(text, interrupted), "\n\n")
	switch {
	case stopped:
		reply = Reply{Text: cmp.Or(text, silenced), Finish: FinishStopped}
	case said != "":
		reply.Text = said + "\n\n" + interrupted
	}
	if said != "" || usedTools {
		reply.Usage = s.guess(ctx, t, said)
	}
	no := s.judge(ctx, t.Room, t.Message, Prompt, t.Message.Text)
	if no == nil {
		no = s.judge(ctx, t.Room, t.Message, Completion, said)
	}
	if no != nil {
		reply.Text, reply.Finish = no.Error(), FinishRefused
	}
	return reply
}

// soFar returns what the stream has of a turn.
func (s *Service) soFar(ctx context.Context, m Message) (entries []Entry, err error) {
	err = s.untilStored(ctx, s.opts.Logger.With("room", m.RoomID), func(ctx context.Context) error {
		entries, err = s.Streamed(ctx, m.RoomID, 0, math.MaxInt64)
		return err
	})
	return slices.DeleteFunc(entries, func(e Entry) bool { return e.Turn != m.Seq }), err
}

// saidIn returns the text that is in entries, and whether tools were used.
func saidIn(entries []Entry) (said string, usedTools bool) {
	for _, e := range entries {
		switch e.Kind {
		case Delta:
			d := decode[events.AIChatBotStreamDelta](e)
			said = first(said, d.At) + d.Text
		case ToolCall:
			usedTools = true
		}
	}
	return said, usedTools
}
