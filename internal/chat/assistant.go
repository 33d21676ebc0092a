package chat

import (
	"context"
	"encoding/json"

	"github.com/roomcast/roomcast/auth"
)

// An Assistant answers messages.
type Assistant interface {
	// Reply answers one message. What it says on the way goes to out, and the
	// reply has all of the text. It should return when ctx ends, with what it
	// has said; context.Cause tells why ([ErrStopped], a time-out, the end of
	// the server).
	Reply(ctx context.Context, t Turn, out Out) (Reply, error)
}

// Out is where an assistant says things while it answers. It is for one turn
// and one goroutine. Its errors end the turn.
type Out interface {
	// Text adds to the answer.
	Text(piece string) error
	// ToolCall tells that a tool is used, and ToolResult how that went, in a
	// few words for people.
	ToolCall(id, name string, arguments json.RawMessage) error
	ToolResult(id string, ok bool, summary string) error
}

// A Turn is a message that is to be answered.
type Turn struct {
	Identity *auth.Identity
	Room     Room
	Message  Message
	// History is what was said before, oldest first.
	History []Message
	// Approvals are the room's latest, oldest first: what waits for a decision,
	// and what was decided, with its outcome. Deciding is not the assistant's:
	// it does not get messages that do.
	Approvals []Approval
}

// A Reply is the answer to a message.
type Reply struct {
	Text   string
	Finish Finish
	// Propose is what the assistant would do if it were told to. What [Tools]
	// do not take makes an error of the reply: an assistant that wants to know
	// before asks them itself.
	Propose []Proposal
	Model   string
	Usage   Usage
}

// Finish is why an answer ended.
type Finish string

// The reasons.
const (
	FinishStop        Finish = "stop"        // it was complete
	FinishLength      Finish = "length"      // it was as long as it may be
	FinishStopped     Finish = "stopped"     // somebody stopped it
	FinishInterrupted Finish = "interrupted" // its server went away
	FinishError       Finish = "error"       // the assistant failed; the text says so
	FinishRefused     Finish = "refused"     // moderation, or a limit
)

// Usage is what an answer took, in tokens.
type Usage struct {
	Prompt, Completion int
	Estimated          bool // the provider did not say
}
