package chat

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// A Published message is one that its room got.
type Published struct {
	Payload  events.AIChatBotMessage
	Position cluster.Position // without its epoch
}

// Published returns what a room got after an offset, up to another.
func (s *Service) Published(ctx context.Context, roomID string, after, until uint64) ([]Published, error) {
	answers, err := s.opts.Store.Answers(ctx, roomID, after, until)
	if err != nil || len(answers) == 0 {
		return nil, err
	}
	prev, err := s.opts.Store.AnswerBefore(ctx, roomID, answers[0].Seq)
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	var all []Published
	for _, m := range answers {
		all = append(all, Published{events.AIChatBotMessage{Text: m.Text, ChatRoomID: roomID}, cluster.Position{Offset: m.Seq, Prev: prev}})
		prev = m.Seq
	}
	return all, nil
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

// Heads returns the offsets of the latest messages that rooms got. Those
// without any are left out.
func (s *Service) Heads(ctx context.Context, roomIDs []string) (map[string]uint64, error) {
	heads, err := s.opts.Store.LastAnswers(ctx, roomIDs)
	if err != nil {
		return nil, fmt.Errorf("reading messages: %w", err)
	}
	return heads, nil
}
