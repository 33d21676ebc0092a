package chat

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// Titles, in characters: what a room is called after its first message, and how
// long a title may be that somebody gives it.
const (
	saidTitle = 60
	maxTitle  = 200
)

// Rooms returns the rooms of a tenant that a user takes part in, those first in
// which something was said last, at most limit. next is the cursor for those
// that come after, "" if there are none.
func (s *Service) Rooms(ctx context.Context, id *auth.Identity, tenant, cursor string, limit int) (rooms []Room, next string, err error) {
	if !id.Can(auth.Chat, tenant) {
		return nil, "", events.NotFound("tenant", tenant)
	}
	after, err := parseCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	rooms, err = s.opts.Store.RoomsOf(ctx, tenant, id.User, after, limit+1)
	if err != nil {
		return nil, "", fmt.Errorf("reading chat rooms: %w", err)
	}
	if len(rooms) > limit {
		rooms = rooms[:limit]
		last := rooms[limit-1]
		next = fmt.Sprintf("%d_%s", last.ChangedAt.UnixMicro(), last.ID)
	}
	return rooms, next, nil
}

// parseCursor reads what Rooms has returned.
func parseCursor(cursor string) (after Room, err error) {
	if cursor == "" {
		return Room{}, nil
	}
	at, id, found := strings.Cut(cursor, "_")
	micros, err := strconv.ParseInt(at, 10, 64)
	if !found || err != nil || micros <= 0 {
		return Room{}, events.FieldErrorf("cursor", "is not what next was: leave it out to begin with the first")
	}
	return Room{ID: id, ChangedAt: time.UnixMicro(micros).UTC()}, nil
}

// Rename gives a room another title.
func (s *Service) Rename(ctx context.Context, id *auth.Identity, r Room, title string) (Room, error) {
	if err := mayChange(id, r); err != nil {
		return r, err
	}
	title = strings.TrimSpace(title)
	switch {
	case title == "":
		return r, events.FieldErrorf("title", "is missing")
	case utf8.RuneCountInString(title) > maxTitle:
		return r, events.FieldErrorf("title", "has more than %d characters", maxTitle)
	}
	if err := s.opts.Store.SetTitle(ctx, r.ID, title); errors.Is(err, ErrNotFound) {
		return r, events.NotFound("chat room", r.ID)
	} else if err != nil {
		return r, fmt.Errorf("changing the title of a chat room: %w", err)
	}
	r.Title = title
	s.publishUpdated(events.AIChatRoomUpdated{ChatRoomID: r.ID, Title: title})
	return r, nil
}

// mayChange refuses what only the owner of a room may do.
func mayChange(id *auth.Identity, r Room) error {
	if r.Owner != id.User {
		return events.Errorf(events.CodePermissionDenied, "only who began the conversation may do that")
	}
	return nil
}

// name calls a room after what was said in it, unless it has a title.
func (s *Service) name(ctx context.Context, m Message) {
	title := titleOf(m.Text)
	if title == "" {
		return
	}
	named, err := s.opts.Store.NameRoom(ctx, m.RoomID, title)
	if err != nil {
		s.opts.Logger.Error("chat room was given no title", "room", m.RoomID, "error", err)
		return
	}
	if named {
		s.publishUpdated(events.AIChatRoomUpdated{ChatRoomID: m.RoomID, Title: title})
	}
}

// titleOf is the beginning of a text's first line.
func titleOf(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.TrimSpace(line)
	if utf8.RuneCountInString(line) <= saidTitle {
		return line
	}
	return strings.TrimSpace(string([]rune(line)[:saidTitle-1])) + "…"
}

// Delete removes a room with all that was said in it. Its answers end without a
// word, and who is in it leaves it.
func (s *Service) Delete(ctx context.Context, id *auth.Identity, r Room) error {
	if err := mayChange(id, r); err != nil {
		return err
	}
	answering, err := s.opts.Store.DeleteRoom(ctx, r.ID)
	if errors.Is(err, ErrNotFound) {
		return events.NotFound("chat room", r.ID)
	}
	if err != nil {
		return fmt.Errorf("deleting chat room: %w", err)
	}
	ctx = context.WithoutCancel(ctx) // it is gone
	s.change(ctx, Change{RoomID: r.ID, Deleted: true})
	if answering.Seq == 0 {
		return nil
	}
	if err := s.stopAt(ctx, answering.Owner, stopOrder{RoomID: r.ID, Seq: answering.Seq, Gone: true}); err != nil {
		s.opts.Logger.Warn("the server that answers was not told that the chat room is gone", "room", r.ID, "error", err)
	}
	return nil
}

// publishUpdated tells the members of a room what has become of it. It is not
// kept: who comes later sees it.
func (s *Service) publishUpdated(p events.AIChatRoomUpdated) {
	s.publishUnnumbered(events.ChatRoom(p.ChatRoomID), p)
}
