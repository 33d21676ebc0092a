// Package meet is meetings: who is in which, and what participants say to each
// other. It carries the signals by which they set up connections between
// themselves; pictures and sound never come here.
//
// Who is in a meeting is in the store, which also decides whether there is room
// for one more, so that it does not matter which server a participant comes
// to. Every change has a version. It is announced in the room of the meeting,
// and whoever knows an older version reads the list again: so an announcement
// that is lost, or comes in the wrong order, costs a moment and no participant.
// What is said in a meeting is live: it is for those who are there now.
//
// Nothing reaches a meeting but from its own participants: what arrives names
// the seat of who sent it, an id that only servers know, and is dropped unless
// the list of the meeting has that seat.
package meet

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"time"
	"unicode"
	"unicode/utf8"
)

// Why something cannot be done.
var (
	ErrFull     = errors.New("the meeting is full")
	ErrNotThere = errors.New("not in the meeting")
	ErrNoTarget = errors.New("nobody else in the meeting has that id")
)

// A Member is who is in a meeting, as all servers know it.
type Member struct {
	// Seat is known to servers only.
	Seat string
	// ID is what the others address.
	ID    string
	Name  string
	Muted bool
}

// A List is who is in a meeting, in the order in which they came. Versions go
// up.
type List struct {
	Version uint64
	Members []Member
}

// A Store keeps who is in which meeting. Rooms are named by [RoomName].
type Store interface {
	// Join adds a member, unless there are capacity of them; then the error is
	// ErrFull. If another has its ID, it gets fallback as its ID.
	Join(ctx context.Context, room, owner string, m Member, fallback string, capacity int) (List, error)
	// Leave removes a member. It is no error if it is not there.
	Leave(ctx context.Context, room, seat string) (List, error)
	// Mute changes a member; the error is ErrNotThere if there is none.
	Mute(ctx context.Context, room, seat string, muted bool) (List, error)
	// List returns who is there.
	List(ctx context.Context, room string) (List, error)
	// Versions returns those of rooms that have one.
	Versions(ctx context.Context, rooms []string) (map[string]uint64, error)
	// Sweep removes the members of instances that are gone. It returns the rooms
	// that it changed, with their versions.
	Sweep(ctx context.Context) (map[string]uint64, error)
	// Forget removes what is left of meetings that have been empty for so long.
	Forget(ctx context.Context, empty time.Duration) error
}

// Rooms are where servers say things to each other.
type Rooms interface {
	// Enter returns a place that can be in rooms. hear is called with what is
	// published there, of one room one after the other. It must not block.
	Enter(hear func(Delivery)) (Place, error)
	// Publish sends something to everybody in a room, on all servers. version
	// numbers announcements; 0 is for what is not numbered.
	Publish(room string, version uint64, event string, payload json.RawMessage) error
}

// A Place is in rooms. Its methods may be called concurrently.
type Place interface {
	// Follow joins a room whose announcements are numbered: those above what
	// read returns reach the place, or a later one that stands for them.
	Follow(room string, read func() (version uint64, err error)) error
	Join(room string)
	Leave(room string)
	Close()
}

// A Delivery is what was published to a room.
type Delivery struct {
	Room    string
	Version uint64
	Event   string
	Payload json.RawMessage
}

// What is published.
const (
	// Presence says that who is in a meeting has changed.
	Presence  = "presence"
	leaving   = "leaving"
	signalled = "signal"
	said      = "said"
)

// Options configure a [Service].
type Options struct {
	Store Store
	Rooms Rooms
	// Owner is what this server's participants belong to, "" if it must not
	// have new ones at the moment.
	Owner func() string
	// Capacity is how many participants a meeting has at most. Default 25.
	Capacity int
	// Anonymous is the tenant whose meetings are open to whoever does not say
	// who it is; "" is none.
	Anonymous string
	Logger    *slog.Logger
}

// RoomName names the room of a meeting: of two tenants never the same.
func RoomName(tenant, meeting string) string {
	return "meet:" + url.QueryEscape(tenant) + ":" + url.QueryEscape(meeting)
}

func seatRoom(seat string) string { return "meet_participant:" + seat }

// maxText bounds ids and names, in characters.
const maxText = 128

// Valid reports whether something may be the id of a meeting or a participant,
// or a name: 1 to 128 printable characters.
func Valid(text string) bool {
	if text == "" || !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxText {
		return false
	}
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
