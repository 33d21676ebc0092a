package chat

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// A Room is one conversation.
type Room struct {
	ID     string
	Tenant string // "" until the first message says which
	Owner  string
	Title  string
	At     time.Time
	// ChangedAt is when something was said last, or the room was made.
	ChangedAt time.Time
}

// A Message is what somebody said in a room.
type Message struct {
	RoomID  string
	Seq     uint64 // from 1, without gaps
	Speaker Speaker
	User    string // of the user's messages
	Text    string
	Action  Action
	At      time.Time
	// Finish is why an answer ended. Of what a user said it is FinishRefused or
	// "".
	Finish Finish
	// Owner is the instance that answers a message of a user, "" if none does.
	Owner string
	// Key is unique in the room; "" is none. It is only written.
	Key     string
	ReplyTo uint64 // the message that an answer is about; 0 for what users say, and old answers
	// Session is the public id of the session that said it, "" if it came by
	// none.
	Session string
}

// Speaker is who said something.
type Speaker string

// The speakers.
const (
	User Speaker = "user"
	Bot  Speaker = "bot"
)

// Action is what a message does besides saying something.
type Action string

// The actions. They are about what the assistant has proposed last.
const (
	None    Action = ""
	Test    Action = "test"    // try it without consequences
	Approve Action = "approve" // do it
	Reject  Action = "reject"  // do not
)

// An Entry is a piece of a room's stream: what is said before an answer is
// complete.
type Entry struct {
	Seq  uint64 // from 1, without gaps, in the room; also an offset of the stream's room
	Prev uint64 // that of the entry before it, as it is published; not stored
	Turn uint64 // the message that is answered
	Kind Kind
	Data json.RawMessage // what belongs to Kind
	At   time.Time
}

// Kind says what an entry is.
type Kind string

// The kinds of entries. Their data are the payloads of their events.
const (
	StreamStart Kind = "start"
	Delta       Kind = "delta"
	ToolCall    Kind = "tool_call"
	ToolResult  Kind = "tool_result"
	StreamEnd   Kind = "end"
)

// A Piece is an entry that is to be added to the stream of a turn, which Owner
// takes.
type Piece struct {
	RoomID, Owner string
	Entry
}

// ErrNotFound is returned by a [Store] for what it does not have.
var ErrNotFound = errors.New("not found")

// ErrAnswered is returned by a [Store] for a message that is not, or no longer,
// to be answered by its owner as the caller knows it.
var ErrAnswered = errors.New("somebody else answers")

// ErrBusy is returned by a [Store] while other messages of the room are to be
// answered first.
var ErrBusy = errors.New("other messages are answered first")

// A Store keeps conversations. Its methods may be called concurrently; each is
// atomic.
type Store interface {
	Rooms
	Turns
	Approvals
	Usages
}

// Rooms are conversations and what was said in them.
type Rooms interface {
	CreateRoom(ctx context.Context, r Room) error
	Room(ctx context.Context, id string) (Room, error)
	// BindRoom gives a room its tenant, unless it has one, and returns the
	// room as it then is.
	BindRoom(ctx context.Context, id, tenant string) (Room, error)
	// IsMember reports whether a user takes part in a room that is another's.
	IsMember(ctx context.Context, roomID, user string) (bool, error)
	// Members returns the members of a room as they came, without its owner.
	Members(ctx context.Context, roomID string) ([]Member, error)
	// AddMember adds a member to a room, and reports whether it was none before.
	AddMember(ctx context.Context, m Member) (added bool, err error)
	// RemoveMember removes a member, and reports whether it was one.
	RemoveMember(ctx context.Context, roomID, user string) (removed bool, err error)
	// RoomsOf returns the rooms of a tenant that a user takes part in, the one
	// that was changed last first, after another of them unless that is zero.
	RoomsOf(ctx context.Context, tenant, user string, after Room, limit int) ([]Room, error)
	// SetTitle gives a room a title, NameRoom only if it has none, which it
	// reports.
	SetTitle(ctx context.Context, id, title string) error
	NameRoom(ctx context.Context, id, title string) (named bool, err error)
	// DeleteRoom removes a room and all that belongs to it, and returns the
	// message that is being answered, a zero one if there is none.
	DeleteRoom(ctx context.Context, id string) (answering Message, err error)
	// Append numbers a message of a user and stores it; ErrNotFound if its room is
	// gone, and ErrBusy if more messages of the room than open have no answer.
	Append(ctx context.Context, m Message, open int) (Message, error)
	// Said returns the message of a room that was stored with a key.
	Said(ctx context.Context, roomID, key string) (Message, error)
	// Messages returns the latest of a room before a number, 0 for all, oldest
	// first.
	Messages(ctx context.Context, roomID string, before uint64, limit int) ([]Message, error)
	// Cursor returns how far a user was brought in a room, if that is known, and
	// MoveCursor moves that on, never back.
	Cursor(ctx context.Context, roomID, user string) (seq uint64, known bool, err error)
	MoveCursor(ctx context.Context, roomID, user string, seq uint64) error
	// Depart notes that a client of a user has gone, and how far that one was
	// brought. Return returns the least number of those that have gone since a
	// moment, if there are any, and forgets the one with the greatest: whoever of
	// them comes back, and in whatever order, misses nothing.
	Depart(ctx context.Context, roomID, user string, seq uint64, at time.Time) error
	Return(ctx context.Context, roomID, user string, since time.Time) (seq uint64, found bool, err error)
	// MessagesSince returns the first messages after a number, up to another.
	MessagesSince(ctx context.Context, roomID string, after, until uint64, limit int) ([]Message, error)
	// LastMessages returns the number of the latest message in each room that
	// has one.
	LastMessages(ctx context.Context, roomIDs []string) (map[string]uint64, error)
}

// Turns are messages that are to be answered, and what is said on the way.
type Turns interface {
	// BeginTurn lets the owner of a message answer it, if no other is to be
	// answered before: otherwise it is ErrBusy, and ErrAnswered if it is not the
	// owner's to answer, or has an answer. Beginning one again that was begun, by whomever, is
	// fine. It stores start as the next entry of the stream, unless the turn was
	// begun before, and returns the number of the latest entry, and whether
	// somebody has stopped it.
	BeginTurn(ctx context.Context, m Message, start Entry) (head uint64, stopped bool, err error)
	// AddToStream stores entries of many turns, and tells for each why it was
	// refused: ErrAnswered if the turn is not, or no longer, its owner's. ErrStopped
	// tells that somebody has stopped the turn; the entry is stored. One that was
	// stored before, unheard, is stored once.
	AddToStream(ctx context.Context, pieces []Piece) (refused []error, err error)
	// Stream returns the entries of a room after a number, up to another.
	Stream(ctx context.Context, roomID string, after, until uint64) ([]Entry, error)
	// StreamHeads returns the number of the latest entry of each room's stream
	// that has any.
	StreamHeads(ctx context.Context, roomIDs []string) (map[string]uint64, error)
	// StopTurns has all that was said so far in a room answered with silence,
	// and returns the message that is being answered, with its owner;
	// ErrNotFound if there is none.
	StopTurns(ctx context.Context, roomID string) (Message, error)
	// Answer ends a turn: it numbers and stores the answer to a message of a
	// user, unless that has one or another owner, marks the message if the answer
	// was refused, stores the end of the stream in place of the turn's other
	// entries, counts what it took, and stores the approvals. Ends stay until a
	// turn begins or ends that is a minute younger. If the owner has answered it
	// already, the number is that of the first answer.
	Answer(ctx context.Context, to, answer Message, end Entry, add Aftermath) (Message, error)
	// Abandoned returns messages of users that have no answer and whose owner
	// is not there any more, at most limit; those of a room in order.
	Abandoned(ctx context.Context, limit int) ([]Message, error)
	// Take gives a message that has no answer to another owner, if the one
	// before is not there any more, or "". Of many who try, one succeeds.
	Take(ctx context.Context, m Message, to string) (taken bool, err error)
}

// Aftermath is what an answer leads to.
type Aftermath struct {
	Approvals []Approval
	Tenant    string
	Usage     Usage
}
