package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
)

// A Tool is something that the model may use. Its functions may be called
// concurrently.
type Tool struct {
	Name, Description string
	// Parameters is a JSON Schema of an object.
	Parameters string
	// Offered reports whether the model may use the tool in a turn; nil is
	// always.
	Offered func(t chat.Turn) bool
	// Use uses the tool, in the name of who said the message of the turn; it
	// changes nothing, and returns when ctx ends. An *events.Error is told to the
	// model, which may mend what it asked for; others are for the log.
	Use func(ctx context.Context, t chat.Turn, arguments json.RawMessage) (Result, error)
}

// A Result is what came of a tool.
type Result struct {
	// Data is for the model, as JSON. It is cut if it is long.
	Data any
	// Summary is for people, in a few words.
	Summary string
	// Propose is what would be done if it were approved, nil if nothing.
	Propose *chat.Proposal
}

// taking makes a Use of a function that takes arguments of a type.
func taking[A any](use func(ctx context.Context, t chat.Turn, args A) (Result, error)) func(context.Context, chat.Turn, json.RawMessage) (Result, error) {
	return func(ctx context.Context, t chat.Turn, raw json.RawMessage) (Result, error) {
		var args A
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(&args); err != nil {
			return Result{}, events.Errorf(events.CodeValidation, "the arguments do not match the parameters: %v", err)
		}
		return use(ctx, t, args)
	}
}

// missing refuses arguments without one that is required.
func missing(name string) error { return events.FieldErrorf(name, "is missing") }

// counted says how many there are of something.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
