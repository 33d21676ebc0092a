package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// approvalAge is how long a decision is waited for.
const approvalAge = time.Hour

// checked returns proposals as they would be done now.
func (s *Service) checked(ctx context.Context, t Turn, proposed []Proposal) ([]Proposal, error) {
	var all []Proposal
	for _, p := range proposed {
		p.Tenant = t.Room.Tenant
		p, err := s.opts.Tools.Check(ctx, t.Identity, p)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// approval makes an approval of a proposal.
func (s *Service) approval(r Room, p Proposal) Approval {
	now := time.Now().UTC()
	return Approval{
		Proposal: p, ID: uuid.NewString(), RoomID: r.ID, Hash: HashOf(p),
		ProposedAt: now, ExpiresAt: now.Add(approvalAge), Decision: Decision{Status: Pending},
	}
}

// Decide decides about something that was proposed in a room: it is to be done,
// or not, or tried. The first decision counts; who repeats it gets the same
// approval, and who decides otherwise a conflict that names who decided. What
// is approved is done after Decide has returned, and once. hash, unless "", must
// be that of what was shown. The text is how trying it went.
func (s *Service) Decide(ctx context.Context, id *auth.Identity, roomID, approvalID string, what Action, hash string) (Approval, string, error) {
	if what != Approve && what != Reject && what != Test {
		return Approval{}, "", events.FieldErrorf("decision", "%q is not one of approve, reject, test", what)
	}
	if _, err := s.Room(ctx, id, roomID); err != nil {
		return Approval{}, "", err
	}
	a, err := s.opts.Store.Approval(ctx, approvalID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && a.RoomID != roomID:
		return Approval{}, "", events.NotFound("approval", approvalID)
	case err != nil:
		return Approval{}, "", fmt.Errorf("reading approval: %w", err)
	case hash != "" && hash != a.Hash:
		return Approval{}, "", conflict("hash", "this is about something else than what was proposed: decide about what ai_chat_approval_required showed")
	}
	return s.decide(ctx, id, a, what)
}

func conflict(field, format string, args ...any) error {
	e := events.Errorf(events.CodeConflict, format, args...)
	e.Field = field
	return e
}

// decide is [Service.Decide] for who may.
func (s *Service) decide(ctx context.Context, id *auth.Identity, a Approval, what Action) (Approval, string, error) {
	a, err := s.current(ctx, id, a, what)
	if err != nil {
		return a, "", err
	}
	if a.Status != Pending {
		return a, "", agrees(a, what)
	}
	d := Decision{By: id.User, Role: id.Role(a.Tenant)}
	switch what {
	case Test:
		outcome, err := s.opts.Tools.Try(ctx, id, a.Proposal)
		return a, outcome, err
	case Reject:
		d.Status = Rejected
		a, _, err = s.settle(ctx, a, d)
	default:
		d.Status = Approved
		a, err = s.approve(ctx, id, a, d)
	}
	if err == nil {
		err = agrees(a, what)
	}
	return a, "", err
}

// current returns an approval as it is now: what is pending may be overdue, or
// cannot be done any more.
func (s *Service) current(ctx context.Context, id *auth.Identity, a Approval, what Action) (Approval, error) {
	switch {
	case a.Status != Pending:
		return a, nil
	case a.overdue(time.Now()):
		a, _, err := s.settle(ctx, a, Decision{Status: Expired})
		return a, err
	case what == Reject:
		return a, nil
	}
	now, err := s.opts.Tools.Check(ctx, id, a.Proposal)
	reason := "it would do something else now than what was shown"
	switch {
	case errors.Is(err, ErrInvalid):
		reason = "what it is about has changed or is gone"
		if e, meant := events.Public(err); meant {
			reason = e.Message
		}
	case err != nil:
		return a, err
	case a.Version == "" || HashOf(now) == a.Hash:
		return a, nil
	}
	a, _, err = s.settle(ctx, a, Decision{Status: Invalid, Reason: reason})
	return a, err
}

func (a Approval) overdue(now time.Time) bool { return !now.Before(a.ExpiresAt) }

// settle gives an approval its decision, unless it has one, and returns it as
// it then is, and whether that is by this call.
func (s *Service) settle(ctx context.Context, a Approval, d Decision) (now Approval, decided bool, err error) {
	d.At = time.Now().UTC()
	// Whoever has decided has decided, even if the time of the event is over.
	now, decided, err = s.opts.Store.DecideApproval(context.WithoutCancel(ctx), a.ID, d)
	if err != nil {
		return a, false, fmt.Errorf("deciding an approval: %w", err)
	}
	if decided {
		s.publishLive(now.RoomID, now.Resolved())
	}
	return now, decided, nil
}

// agrees tells why somebody's decision is not the one that counts, nil if it
// says the same.
func agrees(a Approval, what Action) error {
	switch {
	case what == Approve && a.Status == Approved, what == Reject && a.Status == Rejected:
		return nil
	case a.Status == Expired:
		return conflict("approvalID", "%q has expired: ask for it again", a.Title)
	case a.Status == Invalid:
		return conflict("approvalID", "%q cannot be done as it was proposed: %s. Ask for it again", a.Title, a.Reason)
	}
	return conflict("decision", "%q has been %s by %s", a.Title, a.Status, a.By)
}

// expireApprovals ends what nobody has decided about in time.
func (s *Service) expireApprovals(ctx context.Context) error {
	overdue, err := s.opts.Store.OverdueApprovals(ctx, time.Now(), abandonedPage)
	if err != nil {
		return fmt.Errorf("looking for approvals that have expired: %w", err)
	}
	for _, a := range overdue {
		if _, _, err := s.settle(ctx, a, Decision{Status: Expired}); err != nil && !errors.Is(err, ErrNotFound) { // its room may be gone
			return err
		}
	}
	return nil
}
