package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/auth"
)

// A Proposal is something that changes things, which the assistant would do if
// it were told to.
type Proposal struct {
	Tenant    string          // of the conversation; assistants need not say it
	Tool      string          // that would do it
	Title     string          // what it is, for people
	Arguments json.RawMessage // an object
	// Version tells what Arguments were made for from what has come in its place
	// since, such as the hash of a definition; "" if the tool knows of none. It
	// is set by [Tools.Check], not by assistants.
	Version string
}

// HashOf is of what a proposal would do.
func HashOf(p Proposal) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%s", p.Tool, p.Version, p.Arguments))
	return hex.EncodeToString(sum[:])
}

// Tools do what is proposed, in the name of who decides. Their methods may be
// called concurrently. Errors for that person are *events.Error, as when a
// right is missing, and change nothing about the approval.
type Tools interface {
	// Check looks again at what a proposal is about and returns it as it would
	// be done now: with the Version of now. ErrInvalid tells that nobody can do
	// it any more, or ever could: what it is about is gone, or does not take its
	// arguments. It is asked before something is proposed, too.
	Check(ctx context.Context, id *auth.Identity, p Proposal) (Proposal, error)
	// Try tries what a proposal would do, without consequences, and says in a
	// few words for people how that went.
	Try(ctx context.Context, id *auth.Identity, p Proposal) (outcome string, err error)
	// Do does it, at the Version that the proposal has, or tells ErrInvalid. It
	// may be called again, by another server, after one has died while it was
	// doing it: whatever it makes must be derived from approvalID, so that it is
	// made once. ctx is that of a request that happens once, seeded with
	// approvalID: ids from once.ID are as good, and once.Again tells whether it
	// was called before. It need not wait for the end of what it begins.
	Do(ctx context.Context, id *auth.Identity, approvalID string, p Proposal) (Outcome, error)
}

// An Outcome is what came of something that was approved.
type Outcome struct {
	OK         bool
	Text       string // for people
	InstanceID string // the run that it began, "" if none
}

// ErrInvalid is wrapped by [Tools] for a proposal that cannot be done as it was
// made. If it wraps an *events.Error too, that says why.
var ErrInvalid = errors.New("what was proposed cannot be done any more")

// An Approval is a proposal that waits for a decision, or has one.
type Approval struct {
	Proposal
	ID     string
	RoomID string
	// Seq is the number of the answer that proposed it.
	Seq uint64
	// Hash is of the proposal, as it was shown.
	Hash       string
	ProposedAt time.Time
	ExpiresAt  time.Time
	Decision
	Outcome Outcome
	// Done tells that what was approved has been done, with Outcome.
	Done bool
}

// A Decision is what has become of an approval.
type Decision struct {
	Status ApprovalStatus
	By     string // the user who decided, "" if nobody did
	// Role is that user's in the tenant of the conversation: what is approved is
	// done with its rights, also by a server that never saw the user.
	Role auth.Role
	At   time.Time
	// Owner is the instance that does what is approved.
	Owner string
	// Reason is why an approval is Invalid, for people.
	Reason string
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
// concurrently; each is atomic. New ones are stored by [Turns.Answer].
type Approvals interface {
	Approval(ctx context.Context, id string) (Approval, error)
	// RecentApprovals returns the latest of a room, oldest first.
	RecentApprovals(ctx context.Context, roomID string, limit int) ([]Approval, error)
	// OpenApprovals returns those of a room that are pending, or approved and
	// not done, oldest first.
	OpenApprovals(ctx context.Context, roomID string) ([]Approval, error)
	// DecideApproval gives a pending approval its decision: of many who try one
	// succeeds. It returns the approval as it then is.
	DecideApproval(ctx context.Context, id string, d Decision) (a Approval, decided bool, err error)
	// FinishApproval keeps what came of an approved one, and that it is done;
	// ErrAnswered if it is, or is not its owner's to do.
	FinishApproval(ctx context.Context, id, owner string, o Outcome) error
	// OverdueApprovals returns pending ones whose time was over at a moment.
	OverdueApprovals(ctx context.Context, at time.Time, limit int) ([]Approval, error)
	// AbandonedApprovals returns those that are approved and not done, and whose
	// owner is not there any more, or is the one who asks.
	AbandonedApprovals(ctx context.Context, owner string, limit int) ([]Approval, error)
	// TakeApproval gives one that is approved and not done to another owner, if
	// the one before is not there any more. Of many who try, one succeeds.
	TakeApproval(ctx context.Context, a Approval, to string) (taken bool, err error)
}
