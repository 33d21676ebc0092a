package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// A Member is a user who takes part in a room.
type Member struct {
	RoomID  string
	User    string
	AddedBy string // "" for the owner
	At      time.Time
}

const (
	// maxMembers bounds those of a room besides its owner.
	maxMembers = 100
	// maxUser bounds the id of a user, in characters.
	maxUser = 128
)

// Members returns who takes part in a room: its owner, and then the others as
// they came.
func (s *Service) Members(ctx context.Context, r Room) ([]Member, error) {
	others, err := s.opts.Store.Members(ctx, r.ID)
	if err != nil {
		return nil, fmt.Errorf("reading members of chat room: %w", err)
	}
	return append([]Member{{RoomID: r.ID, User: r.Owner, At: r.At}}, others...), nil
}

// AddMember lets a user take part in a room, which takes the right to chat in
// its tenant besides. Adding one again changes nothing.
func (s *Service) AddMember(ctx context.Context, id *auth.Identity, r Room, user string) error {
	if err := mayChange(id, r); err != nil {
		return err
	}
	switch {
	case r.Tenant == "":
		return events.Errorf(events.CodeConflict, "nothing has been said in the conversation yet, so it has no tenant: say something first")
	case user == "" || utf8.RuneCountInString(user) > maxUser:
		return events.FieldErrorf("userID", "has not 1 to %d characters", maxUser)
	case user == r.Owner:
		return nil
	}
	all, err := s.Members(ctx, r)
	switch {
	case err != nil:
		return err
	case slices.ContainsFunc(all, func(m Member) bool { return m.User == user }):
		return nil
	case len(all) > maxMembers:
		return events.Errorf(events.CodeConflict, "the conversation has %d members already: remove one", maxMembers)
	}
	added, err := s.opts.Store.AddMember(ctx, Member{RoomID: r.ID, User: user, AddedBy: id.User, At: time.Now().UTC()})
	if errors.Is(err, ErrNotFound) {
		return events.NotFound("chat room", r.ID)
	}
	if err != nil {
		return fmt.Errorf("adding a member to chat room: %w", err)
	}
	if added {
		s.publishMembers(ctx, r)
	}
	return nil
}

// RemoveMember ends the part that a user takes in a room; members may remove
// themselves. Removing one who is none changes nothing.
func (s *Service) RemoveMember(ctx context.Context, id *auth.Identity, r Room, user string) error {
	if user == r.Owner {
		return events.FieldErrorf("userID", "began the conversation, and stays in it: delete the conversation instead")
	}
	if user != id.User {
		if err := mayChange(id, r); err != nil {
			return err
		}
	}
	removed, err := s.opts.Store.RemoveMember(ctx, r.ID, user)
	if err != nil {
		return fmt.Errorf("removing a member from chat room: %w", err)
	}
	if removed {
		ctx = context.WithoutCancel(ctx)
		s.change(ctx, Change{RoomID: r.ID})
		s.publishMembers(ctx, r)
	}
	return nil
}

// publishMembers tells who takes part now.
func (s *Service) publishMembers(ctx context.Context, r Room) {
	all, err := s.Members(ctx, r)
	if err != nil {
		s.opts.Logger.Error("members of a chat room were not told who they are", "room", r.ID, "error", err)
		return
	}
	p := events.AIChatRoomUpdated{ChatRoomID: r.ID, Title: r.Title}
	for _, m := range all {
		p.Members = append(p.Members, m.User)
	}
	s.publishUpdated(p)
}
