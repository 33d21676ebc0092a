package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
)

// Required is the event that asks for a decision.
func (a Approval) Required() events.AIChatApprovalRequired {
	return events.AIChatApprovalRequired{
		ChatRoomID: a.RoomID, ApprovalID: a.ID, Tool: a.Tool, Title: a.Title, Arguments: events.JSON(a.Arguments), Hash: a.Hash,
		ExpiresAt: events.Time{Time: a.ExpiresAt},
	}
}

// Resolved is the event that tells the decision.
func (a Approval) Resolved() events.AIChatApprovalResolved {
	return events.AIChatApprovalResolved{ChatRoomID: a.RoomID, ApprovalID: a.ID, Decision: string(a.Status), DecidedBy: a.By, Reason: a.Reason}
}

// Came is the event that tells the outcome.
func (a Approval) Came() events.AIChatApprovalOutcome {
	return events.AIChatApprovalOutcome{ChatRoomID: a.RoomID, ApprovalID: a.ID, OK: a.Outcome.OK, Outcome: a.Outcome.Text, InstanceID: a.Outcome.InstanceID}
}

// notify tells who asked for something that is proposed, and whose conversation
// it is, that it waits for a decision, wherever they are.
func (s *Service) notify(r Room, asked string, a Approval) {
	about, _ := json.Marshal(map[string]string{"chatRoomID": a.RoomID, "approvalID": a.ID})
	for _, user := range slices.Compact([]string{r.Owner, asked}) {
		if user != "" {
			s.publishUnnumbered(events.UserRoom(r.Tenant, user), events.Notification{
				UserID: user, Message: "The assistant waits for a decision: " + a.Title, Level: "info", Data: about,
			})
		}
	}
}

// publishLive tells those who hear answers in pieces something that is not
// numbered: who comes later is told what is open. Others see what they always
// saw.
func (s *Service) publishLive(roomID string, p events.Payload) {
	s.publishUnnumbered(events.ChatStreamRoom(roomID), p)
}

func (s *Service) publishUnnumbered(room events.Room, p events.Payload) {
	if err := s.opts.Publisher.Publish(room, cluster.Position{}, p); err != nil {
		s.opts.Logger.Error("event was not published", "room", room, "event", p.EventName(), "error", err)
	}
}

// ShowApprovals tells somebody who has just begun to hear a room what waits for a
// decision there, or is being done. What changes meanwhile was published before
// it is told, so it is told again.
func (s *Service) ShowApprovals(ctx context.Context, r Room, tell func(events.Payload)) error {
	open, err := s.opts.Store.OpenApprovals(ctx, r.ID)
	if err != nil {
		return fmt.Errorf("reading approvals: %w", err)
	}
	for _, a := range open {
		if a.Status == Pending && a.overdue(time.Now()) {
			continue
		}
		tell(a.Required())
		if a, err = s.opts.Store.Approval(ctx, a.ID); err != nil {
			return fmt.Errorf("reading approval: %w", err)
		}
		if a.Status != Pending {
			tell(a.Resolved())
		}
		if a.Done {
			tell(a.Came())
		}
	}
	return nil
}
