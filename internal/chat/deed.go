package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
)

// A deed is something approved that this instance does, or is about to.
type deed struct {
	users int           // goroutines that hold it
	begun bool          // it is being done here, or was
	over  chan struct{} // closed when it has been
}

// holdDeed keeps others of this instance from taking an approval for one that
// nobody is at, until dropDeed.
func (s *Service) holdDeed(approvalID string) (*deed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, stopping()
	}
	s.working.Add(1)
	d := s.deeds[approvalID]
	if d == nil {
		d = &deed{over: make(chan struct{})}
		s.deeds[approvalID] = d
	}
	d.users++
	return d, nil
}

func (s *Service) dropDeed(approvalID string, d *deed) {
	defer s.working.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.users--; d.users == 0 {
		delete(s.deeds, approvalID)
	}
}

// approve decides that something is done, and begins it.
func (s *Service) approve(ctx context.Context, id *auth.Identity, a Approval, d Decision) (Approval, error) {
	if d.Owner = s.opts.Owner(); d.Owner == "" {
		return a, away()
	}
	// The deed is held before: or who looks for what nobody does might find it.
	held, err := s.holdDeed(a.ID)
	if err != nil {
		return a, err
	}
	defer s.dropDeed(a.ID, held)
	a, decided, err := s.settle(ctx, a, d)
	if decided { // and nobody else: the decision is told before the outcome
		s.carryOut(id, a, held, false)
	}
	return a, err
}

// carryOut begins a deed, unless that has happened.
func (s *Service) carryOut(id *auth.Identity, a Approval, held *deed, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held.begun {
		return
	}
	held.begun = true
	held.users++
	s.working.Add(1)
	term := s.ctx
	go func() {
		defer s.dropDeed(a.ID, held)
		defer close(held.over)
		s.doAndTell(term, id, a, again)
	}()
}

// doAndTell does what is approved, and stores and publishes what came of it.
func (s *Service) doAndTell(term context.Context, id *auth.Identity, a Approval, again bool) {
	log := s.opts.Logger.With("room", a.RoomID, "tenant", a.Tenant, "user", id.User, "approval", a.ID, "tool", a.Tool)
	ctx, cancel := context.WithTimeout(once.Seeded(term, a.ID, again), s.opts.Timeout)
	defer cancel()
	out, err := s.do(ctx, id, a)
	if err != nil && term.Err() != nil {
		log.Warn("what was approved is left to another server", "error", err)
		return
	}
	if err != nil {
		out = s.failed(log, err)
	}
	s.tellOutcome(term, log, a, out)
}

// tellOutcome stores and publishes what came of a deed.
func (s *Service) tellOutcome(term context.Context, log *slog.Logger, a Approval, out Outcome) {
	out.Text = clean(out.Text)
	err := s.untilStored(term, log, func(ctx context.Context) error {
		return s.opts.Store.FinishApproval(ctx, a.ID, a.Owner, out)
	})
	if errors.Is(err, ErrAnswered) {
		log.Info("what came of what was approved is not kept: another server tells it, or its chat room is gone")
		return
	}
	if err != nil {
		log.Error("what came of what was approved was not stored", "error", err)
		return
	}
	a.Done, a.Outcome = true, out
	s.publishLive(a.RoomID, a.Came())
}

// failed is the outcome when there is none, and logs why.
func (s *Service) failed(log *slog.Logger, err error) Outcome {
	e, meant := events.Public(err)
	switch {
	case meant:
		log.Info("what was approved did not work", "code", e.Code) // the message of the error may quote what was said
		return Outcome{Text: "That did not work: " + e.Message + "."}
	case errors.Is(err, context.DeadlineExceeded):
		log.Warn("what was approved took too long", "limit", s.opts.Timeout)
		return Outcome{Text: fmt.Sprintf("It was not over within %v, and may have been done or not.", s.opts.Timeout)}
	}
	log.Error("what was approved did not work", "error", err)
	return Outcome{Text: "Something went wrong on the server while doing it. Its log says more."}
}

// do calls the tool. A panic is one bad outcome, not the end of the server.
func (s *Service) do(ctx context.Context, id *auth.Identity, a Approval) (out Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return s.opts.Tools.Do(ctx, id, a.ID, a.Proposal)
}

// outcome waits until what is approved has been done, if that happens here, and
// returns the approval as it then is.
func (s *Service) outcome(ctx context.Context, a Approval) (Approval, error) {
	s.mu.Lock()
	held := s.deeds[a.ID]
	here := held != nil && held.begun
	s.mu.Unlock()
	if here {
		select {
		case <-held.over:
		case <-ctx.Done():
		}
	}
	a, err := s.opts.Store.Approval(context.WithoutCancel(ctx), a.ID)
	if err != nil {
		return a, fmt.Errorf("reading approval: %w", err)
	}
	return a, nil
}

// takeUpDeeds does what instances that are gone have left undone, and what this
// one has decided without hearing that it was stored.
func (s *Service) takeUpDeeds(ctx context.Context, owner string) error {
	undone, err := s.opts.Store.AbandonedApprovals(ctx, owner, abandonedPage)
	if err != nil {
		return fmt.Errorf("looking for what was approved and not done: %w", err)
	}
	for _, a := range undone {
		if err := s.takeUpDeed(ctx, a, owner); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) takeUpDeed(ctx context.Context, a Approval, owner string) error {
	held, err := s.holdDeed(a.ID)
	if err != nil {
		return nil // it is for the next who comes
	}
	defer s.dropDeed(a.ID, held)
	if s.shared(held) {
		return nil // somebody is at it
	}
	if a, err = s.opts.Store.Approval(ctx, a.ID); err != nil || a.Done { // since it was looked for
		return unlessGone(err)
	}
	if a.Owner != owner {
		taken, err := s.opts.Store.TakeApproval(ctx, a, owner)
		if err != nil {
			return fmt.Errorf("taking over what was approved: %w", err)
		}
		if !taken {
			return nil
		}
		a.Owner = owner
	}
	// What is known of who approved is what they were then.
	id := &auth.Identity{User: a.By, Issued: a.At, Tenants: []auth.Membership{{ID: a.Tenant, Role: a.Role}}}
	r, err := s.opts.Store.Room(ctx, a.RoomID)
	if err != nil {
		return unlessGone(err)
	}
	// Its server may not have had the time to tell.
	s.publishLive(a.RoomID, a.Resolved())
	if err := s.stillMay(ctx, id, r); err != nil {
		return s.leaveUndone(a, err)
	}
	s.carryOut(id, a, held, true)
	return nil
}

// leaveUndone ends a deed that was left by another instance, which may have done
// it, because who approved it is not good for it any more.
func (s *Service) leaveUndone(a Approval, why error) error {
	e, meant := events.Public(why)
	if !meant {
		return why
	}
	log := s.opts.Logger.With("room", a.RoomID, "tenant", a.Tenant, "user", a.By, "approval", a.ID, "tool", a.Tool)
	log.Warn("what was approved is not taken up", "code", e.Code)
	s.tellOutcome(s.term(), log, a, Outcome{Text: fmt.Sprintf("Its server went away, and it was not taken up by another: %s. It may have been done before.", e.Message)})
	return nil
}

// unlessGone drops the error about what was deleted meanwhile.
func unlessGone(err error) error {
	if err == nil || errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("reading approval: %w", err)
}

// shared reports whether others than the caller hold a deed.
func (s *Service) shared(held *deed) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return held.users > 1
}
