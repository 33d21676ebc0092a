package chat

import (
	"context"
	"encoding/json"
	"time"
)

// A Proposal is something that changes things, which the assistant would do if
// it were told to.
type Proposal struct {
	Tool      string          // that would do it
	Title     string          // what it is, for people
	Arguments json.RawMessage // an object
}

// An Approval is a proposal that waits for a decision, or has one.
type Approval struct {
	Proposal
	ID     string
	RoomID string
	// Hash is of the tool and its arguments, as they were shown.
	Hash       string
	ProposedAt time.Time
	ExpiresAt  time.Time
	Status     ApprovalStatus
	DecidedBy  string
	DecidedAt  time.Time
	Outcome    string // what became of it, for people
}

// ApprovalStatus is what has become of an approval.
type ApprovalStatus string

// The statuses. Only one that is pending can be decided, once.
const (
	Pending  ApprovalStatus = "pending"
	Approved ApprovalStatus = "approved"
	Rejected ApprovalStatus = "rejected"
	Expired  ApprovalStatus = "expired"
	Invalid  ApprovalStatus = "invalid" // what was to be done has changed
)

// Approvals keep what waits for a decision. Its methods may be called
// concurrently; each is atomic.
type Approvals interface {
	AddApproval(ctx context.Context, a Approval) error
	Approval(ctx context.Context, id string) (Approval, error)
	// Newest returns the latest pending approval of a room that has not expired.
	NewestApproval(ctx context.Context, roomID string, now time.Time) (Approval, error)
	// DecideApproval gives a pending approval its status: of many who try one
	// succeeds. It returns the approval as it then is.
	DecideApproval(ctx context.Context, id string, to ApprovalStatus, by string, at time.Time) (a Approval, decided bool, err error)
	// SetOutcome keeps what became of an approval that was approved.
	SetOutcome(ctx context.Context, id, outcome string) error
}
