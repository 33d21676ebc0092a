package history

import (
	"context"
	"encoding/json"
	"time"

	"github.com/roomcast/roomcast/events"
)

// An Entry is one publication.
type Entry struct {
	Offset uint64 // from 1, without gaps
	Event  string
	// Data is the payload as JSON, without its offset.
	Data json.RawMessage
	At   time.Time
}

// A Publication is an entry that has no number yet.
type Publication struct {
	Room  events.Room
	Event string
	Data  json.RawMessage
	At    time.Time
	// Key is unique in the room while it is kept; "" is none.
	Key string
}

// A Number is what a publication was given. It is Known if it was stored
// before, under the same key.
type Number struct {
	Offset uint64
	Known  bool
}

// A Head is where the history of a room stands.
type Head struct {
	Offset  uint64 // of the latest publication; 0 if there was none
	Trimmed uint64 // publications up to this one are gone
}

// A Store keeps histories. Its methods may be called concurrently, also by
// several servers; each is atomic.
type Store interface {
	// Epoch returns the name of the numbering, which is made with the database.
	Epoch(ctx context.Context) (string, error)
	// Append numbers publications in their order and stores all of them, but
	// those whose key is there, or none.
	Append(ctx context.Context, all []Publication) ([]Number, error)
	// Entries returns those of a room after an offset, in order: at most limit,
	// and no further one when they have size bytes together.
	Entries(ctx context.Context, room events.Room, after uint64, limit, size int) ([]Entry, error)
	// Heads returns where rooms stand. Those without a history are left out.
	Heads(ctx context.Context, rooms []events.Room) (map[events.Room]Head, error)
	// Trim removes entries beyond the latest count of a room, and those that
	// are older than before with all that precede them: about limit of each of
	// some rooms. It returns how many there were: 0 when it is done.
	Trim(ctx context.Context, count int, before time.Time, limit int) (int, error)
}
