package monitor

import (
	"context"
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/logstream"
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

// mayStay decides whether a user may be in a room of the namespace.
func mayStay(_ context.Context, id *auth.Identity, room events.Room) (bool, error) {
	return room == statsRoom && id.MayBeIn("stats", "", "") || slices.Contains(logRooms(id), room), nil
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

// follow sends the latest lines, and then those to come. All rooms are joined
// on hold before the lines are read, so that none falls between them.
func follow(s namespaces.Session, log *logstream.Stream, rooms []events.Room) {
	var join func(rest []events.Room) (uint64, error)
	join = func(rest []events.Room) (through uint64, err error) {
		if len(rest) == 0 {
			return emitBacklog(s, log, rooms), nil
		}
		err = s.Follow(rest[0], 0, func(uint64) (uint64, error) {
			through, err = join(rest[1:])
			return through, err
		})
		return through, err
	}
	join(rooms) // fails only if the session has ended
}

func emitBacklog(s namespaces.Session, log *logstream.Stream, rooms []events.Room) (through uint64) {
	lines, _ := log.Since(0)
	for _, l := range lines {
		through = l.Seq
		for _, room := range roomsOf(l) {
			if slices.Contains(rooms, room) {
				s.Emit(l.Payload())
			}
		}
	}
	return through
}

// A Publisher sends an event to a room of the namespace. It must not log.
type Publisher func(room events.Room, offset uint64, p events.Payload)

// PublishLine takes a line to those who may see it.
func PublishLine(publish Publisher, l logstream.Line) {
	for _, room := range roomsOf(l) {
		publish(room, l.Seq, l.Payload())
	}
}
