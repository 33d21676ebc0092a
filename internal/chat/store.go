package chat

import (
	"context"
	"errors"
	"time"
)

// A Room is one conversation.
type Room struct {
	ID     string
	Tenant string // "" until the first message says which
	Owner  string
	At     time.Time
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
	// Owner is the instance that answers a message of a user, "" if none does.
	Owner string
	// Key is unique in the room; "" is none. It is only written.
	Key string
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

// A Proposal is something that the assistant would do if it were told to.
type Proposal struct {
	WorkflowID string
	Title      string
	Input      map[string]any
}

// ErrNotFound is returned by a [Store] for what it does not have.
var ErrNotFound = errors.New("not found")

// ErrAnswered is returned by [Store.Answer] for a message that is not, or no
// longer, to be answered by its owner as the caller knows it.
var ErrAnswered = errors.New("somebody else answers")

// A Store keeps conversations. Its methods may be called concurrently; each is
// atomic.
type Store interface {
	CreateRoom(ctx context.Context, r Room) error
	Room(ctx context.Context, id string) (Room, error)
	// BindRoom gives a room its tenant, unless it has one, and returns the
	// room as it then is.
	BindRoom(ctx context.Context, id, tenant string) (Room, error)
	// Append numbers a message and stores it.
	Append(ctx context.Context, m Message) (Message, error)
	// Said returns the message of a room that was stored with a key.
	Said(ctx context.Context, roomID, key string) (Message, error)
	// Messages returns the latest of a room, oldest first.
	Messages(ctx context.Context, roomID string, limit int) ([]Message, error)
	// Answer numbers and stores the answer to a message of a user, unless that
	// has one or another owner, and replaces the proposal of the room unless p
	// is nil. If the owner has answered it already, the number is that of the
	// first answer.
	Answer(ctx context.Context, to, answer Message, p *Proposal) (Message, error)
	// Abandoned returns messages of users that have no answer and whose owner
	// is not there any more, at most limit; those of a room in order.
	Abandoned(ctx context.Context, limit int) ([]Message, error)
	// Take gives a message that has no answer to another owner, if the one
	// before is not there any more, or "". Of many who try, one succeeds.
	Take(ctx context.Context, m Message, to string) (taken bool, err error)
	// Answers returns the assistant's messages after a number, up to another.
	Answers(ctx context.Context, roomID string, after, until uint64) ([]Message, error)
	// AnswerBefore returns the number of the assistant's latest message before
	// a number, 0 if there is none.
	AnswerBefore(ctx context.Context, roomID string, seq uint64) (uint64, error)
	// LastAnswers returns the number of the assistant's latest message in each
	// room that has one.
	LastAnswers(ctx context.Context, roomIDs []string) (map[string]uint64, error)
	// Proposal returns the proposal of a room.
	Proposal(ctx context.Context, roomID string) (Proposal, error)
	// TakeProposal returns the proposal of a room and removes it: of two
	// callers one gets it.
	TakeProposal(ctx context.Context, roomID string) (Proposal, error)
}
