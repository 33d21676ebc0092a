// Package publish lets back ends publish to rooms: what they send is checked
// against the contract, whatever its mode, numbered where the room has a
// history, and published once if it has an id.
//
// The messages of a batch to one room are published in their order. Each has a
// result of its own: one that is refused keeps no other from being published.
package publish

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/once"
)

// A Contract knows what may be published. Its error, an *events.Error, is for
// the client.
type Contract interface {
	Publication(namespace, event string, payload []byte) error
}

// Rooms know whose a room is.
type Rooms interface {
	// Owner returns the tenant that a room belongs to, and what it is of;
	// [ErrNotFound] if there is no row that it is of.
	Owner(ctx context.Context, room events.Room) (kind auth.RoomKind, tenant string, err error)
}

// ErrNotFound is returned by [Rooms] for a room of nothing.
var ErrNotFound = errors.New("not found")

// A Live publishes what has no number.
type Live interface {
	PublishLive(room events.Room, event string, data json.RawMessage)
}

// Options configure a [Service].
type Options struct {
	Contract Contract
	Rooms    Rooms
	History  *history.Service
	Live     Live
	Once     *once.Service
	Logger   *slog.Logger
	// MaxBatch bounds the messages of a batch. Default 1000.
	MaxBatch int
	// Wait bounds how long a message waits for another with its id, which is
	// being published. Default 10 s.
	Wait time.Duration
}

// A Service publishes for back ends. Its methods may be called concurrently.
type Service struct{ opts Options }

// New returns a Service.
func New(opts Options) *Service {
	if opts.MaxBatch <= 0 {
		opts.MaxBatch = 1000
	}
	if opts.Wait <= 0 {
		opts.Wait = 10 * time.Second
	}
	return &Service{opts}
}

// An Envelope is a message and where it goes.
type Envelope struct {
	Namespace string          `json:"namespace"` // default "/"
	Room      events.Room     `json:"room"`
	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	// ID makes the message be published once for each user and tenant; "" is
	// none.
	ID string `json:"id"`
}

// A Result is what became of a message.
type Result struct {
	OK bool `json:"ok"`
	// Offset and Epoch are where it stands in the history of its room, left
	// out if that has none.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
	// Replayed tells that it was published before.
	Replayed bool          `json:"replayed,omitempty"`
	Error    *events.Error `json:"error,omitempty"`
}

// numbered are the events that rooms number by a journal of their own.
var numbered = map[auth.RoomKind]map[string]string{
	"run": {
		"workflow_node_update": "the journal of the run", "workflow_status_update": "the journal of the run",
		"workflow_data_collection_request": "the journal of the run",
	},
	"chat": {"ai_chat_bot_message": "the messages of the conversation", "ai_chat_member_message": "the messages of the conversation"},
}

// May reports whether the user may publish in a tenant; the error is for the
// client.
func (s *Service) May(id *auth.Identity, tenant string) error {
	switch {
	case id.Role(tenant) == "":
		return events.NotFound("tenant", tenant)
	case !id.Can(auth.Publish, tenant):
		return events.Errorf(events.CodePermissionDenied, "your role does not include %s", auth.Publish)
	}
	return nil
}

// Publish publishes messages to rooms of a tenant, and returns what became of
// each. The caller has asked whether the user may. An error means that none
// was published.
func (s *Service) Publish(ctx context.Context, id *auth.Identity, tenant string, batch []Envelope) ([]Result, error) {
	if len(batch) > s.opts.MaxBatch {
		return nil, events.FieldErrorf("messages", "has %d, more than %d: send them in several batches", len(batch), s.opts.MaxBatch)
	}
	p := &publishing{Service: s, user: id.User, tenant: tenant, results: make([]Result, len(batch)), rooms: make(map[events.Room]owner)}
	p.publish(ctx, batch)
	return p.results, nil
}
