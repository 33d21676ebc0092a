package root

import (
	"context"
	"encoding/json"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/pace"
	"github.com/roomcast/roomcast/namespaces"
)

// sending is what goes to a session that joins a room, before what is live.
type sending struct {
	*pace.Sender
	gap bool // the session was told of one
}

func newSending(ctx context.Context, s namespaces.Session) *sending {
	return &sending{Sender: pace.To(ctx, s)}
}

// gapSize is about how many bytes a gap takes.
const gapSize = 256

// miss tells of what will never come.
func (o *sending) miss(gap *events.Gap) error {
	if gap == nil {
		return nil
	}
	o.gap = true
	return o.Emit(*gap, gapSize)
}

// stored is an encoded payload.
type stored struct {
	event string
	data  json.RawMessage
}

// EventName implements [events.Payload].
func (p stored) EventName() string { return p.event }

// MarshalJSON implements [json.Marshaler].
func (p stored) MarshalJSON() ([]byte, error) { return p.data, nil }
