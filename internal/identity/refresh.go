package identity

import (
	"context"
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// errOtherUser is the refusal of a renewal that would be a change of user.
var errOtherUser = events.Errorf(events.CodeInvalidUser, "a session stays with its user and issuer: disconnect, then connect as the other")

// Refresh gives a session the identity of another credential of the same user,
// and returns the rooms that it had to leave. A refusal leaves the session as
// it was, except that a user who may no longer be in the namespace is put out.
func (l *Live) Refresh(ctx context.Context, s Session, c auth.Credential) (left []events.Room, err error) {
	id, err := l.opts.Authenticate(ctx, c.From(s.Address()))
	if err != nil {
		return nil, err
	}
	if old := s.Identity(); id.User != old.User || id.Issuer != old.Issuer {
		return nil, errOtherUser
	}
	l.mu.Lock()
	one := l.seats[s]
	l.mu.Unlock()
	if one == nil {
		return nil, events.Errorf(events.CodeConflict, "the session has ended: connect again")
	}
	if one.rules.Admit != nil {
		if err := one.rules.Admit(id); err != nil {
			refusal, _ := events.Public(err)
			l.end(s, refusal, func(*auth.Identity) bool { return true })
			return nil, err
		}
	}
	s.Renew(id)
	left = l.leaveRooms(ctx, s, one.rules)
	l.mu.Lock()
	if l.seats[s] == one {
		l.planLocked(one)
	}
	l.mu.Unlock()
	l.recheck(s)
	return left, nil
}

// leaveRooms takes a session out of the rooms that it may no longer be in. One
// that cannot be told is left as well: it can be joined again.
func (l *Live) leaveRooms(ctx context.Context, s Session, rules Rules) (left []events.Room) {
	rooms := s.Rooms()
	slices.Sort(rooms)
	for _, room := range rooms {
		ok := false
		if rules.MayStay != nil {
			var err error
			if ok, err = rules.MayStay(ctx, s.Identity(), room); err != nil {
				l.opts.Logger.Error("a room was left, for nobody could tell who may be in it", "room", string(room), "session", s.ID(), "error", err)
			}
		}
		if ok {
			continue
		}
		s.Leave(room)
		left = append(left, room)
		if rules.Left != nil {
			rules.Left(s, room)
		}
	}
	return left
}
