package monitor

import (
	"context"
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/internal/pace"
	"github.com/roomcast/roomcast/namespaces"
)

// logRooms are the rooms whose lines a user may see.
func logRooms(id *auth.Identity) (rooms []events.Room) {
	if id.MayBeIn("log:all", "", "") {
		return []events.Room{events.LogRoomAll}
	}
	if id.MayBeIn("log:shared", "", "") {
		rooms = append(rooms, events.LogRoomShared)
	}
	for _, m := range id.Tenants {
		if id.MayBeIn("log:tenant", m.ID, "") {
			rooms = append(rooms, events.LogRoomTenant(m.ID))
		}
	}
	return rooms
}

// mayStay decides whether a user may be in a room of the namespace. Who may see
// more than before keeps what there was: it is in no room twice.
func mayStay(_ context.Context, id *auth.Identity, room events.Room) (bool, error) {
	switch room {
	case StatsRoom:
		return id.MayBeIn("stats", "", ""), nil
	case events.LogRoomAll:
		return id.MayBeIn("log:all", "", ""), nil
	case events.LogRoomShared:
		return id.MayBeIn("log:shared", "", ""), nil
	}
	return slices.ContainsFunc(id.Tenants, func(m auth.Membership) bool {
		return room == events.LogRoomTenant(m.ID) && id.MayBeIn("log:tenant", m.ID, "")
	}), nil
}

// roomsOf are the rooms that a line goes to. No session is in two of them.
func roomsOf(l logstream.Line) []events.Room {
	switch {
	case l.Shared:
		return []events.Room{events.LogRoomAll, events.LogRoomShared}
	case l.Tenant != "":
		return []events.Room{events.LogRoomAll, events.LogRoomTenant(l.Tenant)}
	}
	return []events.Room{events.LogRoomAll}
}

// follow sends the latest lines, and then those to come. The lines there are
// come first, in their order whatever their rooms; each room is followed from
// there, so that none is lost or repeated.
func follow(ctx context.Context, s namespaces.Session, log *logstream.Stream, rooms []events.Room) error {
	through, err := emitLines(pace.To(ctx, s), log, 0, rooms)
	if err != nil {
		return err
	}
	return followFrom(ctx, s, log, through, rooms)
}

// followFrom sends the lines to come after a number.
func followFrom(ctx context.Context, s namespaces.Session, log *logstream.Stream, through uint64, rooms []events.Room) error {
	out := pace.To(ctx, s)
	for _, room := range rooms {
		err := s.Follow(room, through, func(after uint64) (uint64, error) {
			return emitLines(out, log, after, []events.Room{room})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// emitLines sends the lines after a number that go to one of the rooms, and
// returns the number of the latest line.
func emitLines(out *pace.Sender, log *logstream.Stream, after uint64, rooms []events.Room) (through uint64, err error) {
	lines, _ := log.Since(after)
	through = after
	if len(lines) > 0 {
		through = lines[len(lines)-1].Seq
	}
	// Those of other servers may have come after later ones of this server.
	slices.SortStableFunc(lines, func(a, b logstream.Line) int { return a.Time.Compare(b.Time) })
	for _, l := range lines {
		if !slices.ContainsFunc(roomsOf(l), func(r events.Room) bool { return slices.Contains(rooms, r) }) {
			continue
		}
		if err := out.Emit(l.Payload(), len(l.Content)); err != nil {
			return 0, err
		}
	}
	return through, nil
}

// A Publisher sends an event to a room of the namespace. It must not log.
type Publisher func(room events.Room, offset uint64, p events.Payload)

// PublishLine takes a line to those who may see it.
func PublishLine(publish Publisher, l logstream.Line) {
	for _, room := range roomsOf(l) {
		publish(room, l.Seq, l.Payload())
	}
}
