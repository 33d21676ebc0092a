package app

import (
	"context"
	"encoding/json"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// meetSpace is the namespace in which servers carry meetings. All servers share
// it, and no client can enter it.
const meetSpace = "/meet"

var meetNamespace = socketio.Namespace{
	Namespace: namespaces.Namespace{Name: meetSpace},
	Handler:   nobody{},
	Internal:  func(json.RawMessage) bool { return false },
}

// nobody handles the events of a namespace that nobody is in.
type nobody struct{}

// Handle implements [socketio.Handler].
func (nobody) Handle(context.Context, *socketio.Session, socketio.Event) socketio.Reply {
	return socketio.Reply{}
}

func (a *App) newMeetings(epoch string) {
	c := a.opts.Config.WebSocket.Meet
	a.meetings = meet.New(meet.Options{
		Store: a.db.Meetings(), Rooms: meetRooms{a, epoch}, Owner: a.instances.ID, Capacity: c.Capacity, Anonymous: c.Anonymous, Logger: a.log,
	})
	a.instances.OnLost(a.meetings.Doubt)
	a.instances.OnSweep(a.meetings.Sweep)
}

// turn is the servers by which participants reach each other.
func turn(c config.Turn) meet.Turn {
	return meet.Turn{URLs: c.URLs, Secret: string(c.Secret), TTL: c.TTL}
}

// meetRooms are the rooms of the namespace as meetings need them.
type meetRooms struct {
	app   *App
	epoch string
}

var _ meet.Rooms = meetRooms{}

// Enter implements [meet.Rooms].
func (r meetRooms) Enter(hear func(meet.Delivery)) (meet.Place, error) {
	guest, err := r.app.socket.Guest(meetSpace, func(d socketio.Delivery) {
		hear(meet.Delivery{Room: string(d.Room), Version: d.At.Offset, Event: d.Event, Payload: d.Payload})
	})
	if err != nil {
		return nil, err
	}
	return meetPlace{guest}, nil
}

// Publish implements [meet.Rooms]. An announcement does not say which was before
// it: whoever gets it reads what all of them have come to.
func (r meetRooms) Publish(room string, version uint64, event string, payload json.RawMessage) error {
	var at cluster.Position
	if version > 0 {
		at = cluster.Position{Epoch: r.epoch, Offset: version, Prev: version}
	}
	return r.app.socket.PublishRaw(meetSpace, events.Room(room), at, event, payload)
}

// meetPlace is a guest as meetings need it.
type meetPlace struct{ guest *socketio.Guest }

// Follow implements [meet.Place].
func (p meetPlace) Follow(room string, read func() (uint64, error)) error {
	return p.guest.Follow(events.Room(room), 0, func(uint64) (uint64, error) { return read() })
}

// Join implements [meet.Place].
func (p meetPlace) Join(room string) { p.guest.Join(events.Room(room)) }

// Leave implements [meet.Place].
func (p meetPlace) Leave(room string) { p.guest.Leave(events.Room(room)) }

// Close implements [meet.Place].
func (p meetPlace) Close() { p.guest.Close() }

// missedPresence is an announcement in the place of those that were missed.
func missedPresence(until uint64) []socketio.Publication {
	return []socketio.Publication{{Event: meet.Presence, Payload: json.RawMessage(`{}`), At: cluster.Position{Offset: until, Prev: until}}}
}

// meetingHeads returns how far announcements of meetings have got.
func meetingHeads(ctx context.Context, meetings *meet.Service, rooms []events.Room) (map[events.Room]uint64, error) {
	names := make([]string, 0, len(rooms))
	for _, room := range rooms {
		names = append(names, string(room))
	}
	versions, err := meetings.Versions(ctx, names)
	heads := make(map[events.Room]uint64, len(versions))
	for room, version := range versions {
		heads[events.Room(room)] = version
	}
	return heads, err
}
