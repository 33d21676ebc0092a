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

// names is the name space of the ids of conversations that have a name.
var names = uuid.MustParse("0f4ff6b5-8a0f-4b57-9d2f-5f9f2f2c7a41")

// maxName is how many characters the name of a conversation may have.
const maxName = 128

// Named returns the conversation that a user means by a name, and makes it on
// first use. The id of a conversation that the user takes part in means that;
// any other name means one of the user's own in the tenant, so that nobody
// learns what others have, or gets into it.
func (s *Service) Named(ctx context.Context, id *auth.Identity, tenant, name string) (r Room, made bool, err error) {
	if err := checkName(name); err != nil {
		return Room{}, false, err
	}
	if uuid.Validate(name) == nil {
		if r, err = s.Room(ctx, id, name); err == nil || !isNotFound(err) {
			return r, false, err
		}
	}
	if !id.Can(auth.Chat, tenant) {
		return Room{}, false, events.NotFound("tenant", tenant)
	}
	roomID := uuid.NewSHA1(names, []byte(tenant+"\x00"+id.User+"\x00"+name)).String()
	if r, err = s.Room(ctx, id, roomID); err == nil || !isNotFound(err) {
		return r, false, err
	}
	now := time.Now().UTC()
	r = Room{ID: roomID, Tenant: tenant, Owner: id.User, At: now, ChangedAt: now}
	if err := s.opts.Store.CreateRoom(ctx, r); err != nil {
		if again, gone := s.Room(ctx, id, roomID); gone == nil { // somebody was faster
			return again, false, nil
		}
		return Room{}, false, fmt.Errorf("creating chat room: %w", err)
	}
	return r, true, nil
}

// checkName refuses names that are none.
func checkName(name string) error {
	n := 0
	for _, c := range name {
		if c < ' ' || c == 0x7f || c == 0xFFFD {
			return events.FieldErrorf("session_id", "has a character that cannot be shown")
		}
		n++
	}
	if n == 0 || n > maxName {
		return events.FieldErrorf("session_id", "has %d characters, and must have 1 to %d", n, maxName)
	}
	return nil
}

func isNotFound(err error) bool {
	e := (*events.Error)(nil)
	return errors.As(err, &e) && e.Code == events.CodeNotFound
}

// departed is how long a client that has gone may take to come back. Those that
// come later go on where others of their user are.
const departed = 5 * time.Minute

// Return returns how far a client was brought in a room that it comes into, and
// that does not say so itself; known is false if none of its user was ever
// there. It may be one that has gone, and may have got less than others.
func (s *Service) Return(ctx context.Context, id *auth.Identity, roomID string) (seq uint64, known bool, err error) {
	seq, known, err = s.opts.Store.Cursor(ctx, roomID, id.User)
	if !known || err != nil {
		return 0, false, err
	}
	had, found, err := s.opts.Store.Return(ctx, roomID, id.User, time.Now().Add(-departed))
	if found {
		seq = min(seq, had)
	}
	return seq, true, err
}

// Depart notes how far a client has been brought that has gone.
func (s *Service) Depart(ctx context.Context, id *auth.Identity, roomID string, seq uint64) error {
	return s.opts.Store.Depart(ctx, roomID, id.User, seq, time.Now())
}

// MoveCursor notes how far a user has been brought.
func (s *Service) MoveCursor(ctx context.Context, id *auth.Identity, roomID string, seq uint64) error {
	return s.opts.Store.MoveCursor(ctx, roomID, id.User, seq)
}
