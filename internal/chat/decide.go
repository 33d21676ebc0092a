package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// approvalAge is how long a decision is waited for.
const approvalAge = time.Hour

// approval makes an approval of a proposal.
func (s *Service) approval(r Room, p Proposal) Approval {
	now := time.Now().UTC()
	return Approval{
		Proposal: p, ID: uuid.NewString(), RoomID: r.ID, Hash: HashOf(p),
		ProposedAt: now, ExpiresAt: now.Add(approvalAge), Status: Pending,
	}
}

// HashOf is of what a proposal would do.
func HashOf(p Proposal) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s", p.Tool, p.Arguments))
	return hex.EncodeToString(sum[:])
}

func (s *Service) publishApproval(a Approval) {
	s.publishLive(a.RoomID, events.AIChatApprovalRequired{
		ChatRoomID: a.RoomID, ApprovalID: a.ID, Tool: a.Tool, Title: a.Title, Arguments: events.JSON(a.Arguments), Hash: a.Hash,
		ExpiresAt: events.Time{Time: a.ExpiresAt},
	})
}

func (s *Service) publishResolved(a Approval) {
	s.publishLive(a.RoomID, events.AIChatApprovalResolved{
		ChatRoomID: a.RoomID, ApprovalID: a.ID, Decision: string(a.Status), DecidedBy: a.DecidedBy, Outcome: a.Outcome,
	})
}

// publishLive tells those who hear answers in pieces something that is not kept:
// what is pending can be asked for. Others see what they always saw.
func (s *Service) publishLive(roomID string, p events.Payload) {
	s.publishUnnumbered(events.ChatStreamRoom(roomID), p)
}

func (s *Service) publishUnnumbered(room events.Room, p events.Payload) {
	if err := s.opts.Publisher.Publish(room, cluster.Position{}, p); err != nil {
		s.opts.Logger.Error("event was not published", "room", room, "event", p.EventName(), "error", err)
	}
}

// decided returns what the action of a message is about, and decides it: saying
// yes or no to a proposal is as good as the action.
func (s *Service) decided(ctx context.Context, t *Turn) (*Approval, error) {
	a, err := s.opts.Store.NewestApproval(ctx, t.Room.ID, time.Now().UTC())
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading approvals: %w", err)
	}
	if t.Message.Action == None {
		t.Message.Action = spoken[strings.ToLower(strings.Trim(t.Message.Text, " .!"))]
	}
	to := map[Action]ApprovalStatus{Approve: Approved, Reject: Rejected}[t.Message.Action]
	if to == "" {
		return &a, nil
	}
	a, decided, err := s.opts.Store.DecideApproval(ctx, a.ID, to, t.Message.User, time.Now().UTC())
	if err != nil {
		return nil, fmt.Errorf("deciding an approval: %w", err)
	}
	if !decided {
		return nil, nil // somebody else was faster
	}
	s.publishResolved(a)
	return &a, nil
}
