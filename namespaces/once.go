package namespaces

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
)

// ClientMessage is embedded in the payloads of events that change something.
type ClientMessage struct {
	// ClientMessageID, 1 to 128 printable characters, makes the event happen
	// once, however often it comes. "" is none.
	ClientMessageID string `json:"clientMessageID,omitempty"`
}

// MessageID returns the id.
func (m ClientMessage) MessageID() string { return m.ClientMessageID }

// HandleOnce is [Handle] for an event that changes something. With a
// clientMessageID, fn runs once for each user and id; a repeat gets the
// acknowledgement of that time. Before it does, again puts its session where
// fn put the first; nil if it put it nowhere. Without an id it costs nothing.
func HandleOnce[In interface{ MessageID() string }, Out any](
	svc *once.Service, event string,
	fn func(ctx context.Context, s Session, in In) (Out, error),
	again func(ctx context.Context, s Session, in In, out Out) error,
) Route {
	return handle(event, func(ctx context.Context, s Session, in In, reply func(Out) ([]byte, error)) ([]byte, error) {
		call := func(ctx context.Context) ([]byte, error) {
			out, err := fn(ctx, s, in)
			if err != nil {
				return nil, err
			}
			return reply(out)
		}
		if in.MessageID() == "" {
			return call(ctx)
		}
		first, repeated, err := doOnce(ctx, svc, once.Name{User: s.Identity().User, Event: event, ID: in.MessageID()}, in, call)
		if !repeated || again == nil {
			return first, err
		}
		var out Out
		if err := json.Unmarshal(first, &out); err != nil {
			return nil, fmt.Errorf("decoding the first acknowledgement: %w", err)
		}
		return first, again(ctx, s, in, out)
	})
}

func doOnce(ctx context.Context, svc *once.Service, n once.Name, payload any, call func(ctx context.Context) ([]byte, error)) ([]byte, bool, error) {
	const field = "clientMessageID"
	if !once.Valid(n.ID) {
		return nil, false, events.FieldErrorf(field, "is not 1 to 128 printable characters")
	}
	raw, err := json.Marshal(payload) // the same for the same payload, however it was written
	if err != nil {
		return nil, false, fmt.Errorf("encoding payload: %w", err)
	}
	sum := sha256.Sum256(raw)
	reply, repeated, err := svc.Do(ctx, n, hex.EncodeToString(sum[:]), call)
	if errors.Is(err, once.ErrOtherPayload) {
		err = &events.Error{Code: events.CodeConflict, Field: field, Message: field + ": was used with another payload: choose a new one"}
	}
	return reply, repeated, err
}
