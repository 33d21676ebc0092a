package root

import (
	"context"

	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/namespaces"
)

type chatApproval struct {
	ChatRoomID string      `json:"chatRoomID"`
	ApprovalID string      `json:"approvalID"`
	Decision   chat.Action `json:"decision"`
	Hash       string      `json:"hash,omitempty"` // of what was shown
	FirebaseID string      `json:"firebaseID,omitempty"`
}

type chatApprovalStatus struct {
	Status chat.ApprovalStatus `json:"status"`
	// Outcome is how trying it went, or what came of it if it has been done.
	Outcome string `json:"outcome,omitempty"`
}

// approval decides about something that the assistant proposed.
func (a *aiChat) approval(ctx context.Context, s namespaces.Session, in chatApproval) (chatApprovalStatus, error) {
	if err := sameUser(s.Identity(), in.FirebaseID); err != nil {
		return chatApprovalStatus{}, err
	}
	decided, outcome, err := a.chat.Decide(ctx, s.Identity(), in.ChatRoomID, in.ApprovalID, in.Decision, in.Hash)
	if decided.Done {
		outcome = decided.Outcome.Text
	}
	return chatApprovalStatus{decided.Status, outcome}, err
}
