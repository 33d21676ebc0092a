package chat

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// publishMessage tells the members of a room what somebody said there.
func (s *Service) publishMessage(m Message) {
	if err := s.opts.Publisher.Publish(events.ChatRoom(m.RoomID), m.Position(), m.Payload()); err != nil {
		s.opts.Logger.Error("message was not published", "room", m.RoomID, "seq", m.Seq, "error", err)
	}
}

// Typing tells those who hear answers in pieces that a user is typing, or not
// any more.
func (s *Service) Typing(ctx context.Context, id *auth.Identity, roomID, session string, typing bool) error {
	r, err := s.Room(ctx, id, roomID)
	if err != nil {
		return err
	}
	s.publishLive(r.ID, events.AIChatMemberTyping{ChatRoomID: r.ID, UserID: id.User, SessionID: session, Typing: typing})
	return nil
}

// Position is where a message stands in its room. Two servers may publish those
// that follow on each other the wrong way round: the position tells.
func (m Message) Position() cluster.Position {
	return cluster.Position{Offset: m.Seq, Prev: m.Seq - 1}
}

// Payload is the event of a message.
func (m Message) Payload() events.Payload {
	if m.Speaker == Bot {
		return events.AIChatBotMessage{Text: m.Text, ChatRoomID: m.RoomID, ReplyTo: m.ReplyTo}
	}
	return events.AIChatMemberMessage{
		ChatRoomID: m.RoomID, UserID: m.User, SessionID: m.Session, Text: m.Text, Action: string(m.Action), At: events.Time{Time: m.At},
	}
}

// History is a message as those get it who ask what was said.
func (m Message) History() events.AIChatMessage {
	return events.AIChatMessage{
		Type: string(m.Speaker), Text: m.Text, Timestamp: events.Time{Time: m.At}, Offset: m.Seq,
		UserID: m.User, Action: string(m.Action), FinishReason: string(m.Finish),
	}
}

// publishedPage is how many messages are read at once.
const publishedPage = 64

// PublishedPage returns the first messages that a room got after an offset, up
// to another, in order: none only if there are none.
func (s *Service) PublishedPage(ctx context.Context, roomID string, after, until uint64) ([]Message, error) {
	messages, err := s.opts.Store.MessagesSince(ctx, roomID, after, until, publishedPage)
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	return messages, nil
}

// Published calls each with the messages that a room got after an offset, up to
// another, in order, until it returns an error.
func (s *Service) Published(ctx context.Context, roomID string, after, until uint64, each func(m Message) error) error {
	for {
		messages, err := s.PublishedPage(ctx, roomID, after, until)
		if err != nil || len(messages) == 0 {
			return err
		}
		for _, m := range messages {
			if err := each(m); err != nil {
				return err
			}
			after = m.Seq
		}
	}
}

// StreamHeads returns the offsets of the latest entries of streams. Those
// without any are left out.
func (s *Service) StreamHeads(ctx context.Context, roomIDs []string) (map[string]uint64, error) {
	heads, err := s.opts.Store.StreamHeads(ctx, roomIDs)
	if err != nil {
		return nil, fmt.Errorf("reading streams: %w", err)
	}
	return heads, nil
}

// Heads returns the offsets of the latest messages of rooms. Those without any
// are left out.
func (s *Service) Heads(ctx context.Context, roomIDs []string) (map[string]uint64, error) {
	heads, err := s.opts.Store.LastMessages(ctx, roomIDs)
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	return heads, nil
}
