// Package listener keeps listeners and the pages of apps that show what they
// hear: rows that give rooms their owners.
package listener

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/once"
)

// Kind is what a row stands for.
type Kind string

// The kinds.
const (
	Source  Kind = "listener" // something that data comes from
	AppPage Kind = "app_page" // a page that shows such data
)

// A Listener is one row.
type Listener struct {
	ID        string    `json:"listenerID"`
	Tenant    string    `json:"tenantID"`
	Kind      Kind      `json:"kind"`
	Title     string    `json:"title"`
	CreatedBy string    `json:"createdBy"`
	CreatedAt time.Time `json:"createdAt"`
}

// Room is where the events of the row go.
func (l Listener) Room() events.Room {
	if l.Kind == AppPage {
		return events.AppPageRoom(l.ID)
	}
	return events.ListenerRoom(l.ID)
}

// ErrNotFound is returned by a [Store] for what it does not have.
var ErrNotFound = errors.New("not found")

// A Store keeps listeners. Its methods may be called concurrently.
type Store interface {
	CreateListener(ctx context.Context, l Listener) error
	DeleteListener(ctx context.Context, id string) error
	Listener(ctx context.Context, id string) (Listener, error)
	Listeners(ctx context.Context, tenant string) ([]Listener, error)
}

// A Publisher numbers, keeps and sends an event to a room.
type Publisher interface {
	Publish(ctx context.Context, room events.Room, p events.Payload) (cluster.Position, error)
}

// A Service keeps listeners. Its methods may be called concurrently.
type Service struct {
	store     Store
	publisher Publisher
}

// NewService returns a Service.
func NewService(store Store, publisher Publisher) *Service { return &Service{store, publisher} }

// Create adds a row.
func (s *Service) Create(ctx context.Context, id *auth.Identity, tenant, title string, kind Kind) (Listener, error) {
	if kind == "" {
		kind = Source
	}
	switch {
	case !id.Can(auth.ReadListeners, tenant):
		return Listener{}, events.NotFound("tenant", tenant)
	case !id.Can(auth.WriteListeners, tenant):
		return Listener{}, events.Errorf(events.CodePermissionDenied, "your role does not include %s", auth.WriteListeners)
	case title == "":
		return Listener{}, events.FieldErrorf("title", "is missing")
	case kind != Source && kind != AppPage:
		return Listener{}, events.FieldErrorf("kind", "%q is not one of listener, app_page", kind)
	}
	if once.Again(ctx) {
		if made, err := s.store.Listener(ctx, once.ID(ctx, "listener")); !errors.Is(err, ErrNotFound) {
			return made, err
		}
	}
	l := Listener{ID: once.ID(ctx, "listener"), Tenant: tenant, Kind: kind, Title: title, CreatedBy: id.User, CreatedAt: time.Now().UTC()}
	return l, s.store.CreateListener(ctx, l)
}

// List returns the rows of a tenant.
func (s *Service) List(ctx context.Context, id *auth.Identity, tenant string) ([]Listener, error) {
	if !id.Can(auth.ReadListeners, tenant) {
		return nil, events.NotFound("tenant", tenant)
	}
	return s.store.Listeners(ctx, tenant)
}

// Get returns a row that the user may do something with.
func (s *Service) Get(ctx context.Context, id *auth.Identity, a auth.Action, listenerID string) (Listener, error) {
	l, err := s.store.Listener(ctx, listenerID)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && !id.Can(auth.ReadListeners, l.Tenant):
		return Listener{}, events.NotFound("listener", listenerID)
	case err != nil:
		return Listener{}, fmt.Errorf("reading listener: %w", err)
	case !id.Can(a, l.Tenant):
		return Listener{}, events.Errorf(events.CodePermissionDenied, "your role does not include %s", a)
	}
	return l, nil
}

// Delete removes a row. Sessions that are in its room stay there.
func (s *Service) Delete(ctx context.Context, id *auth.Identity, listenerID string) error {
	if _, err := s.Get(ctx, id, auth.WriteListeners, listenerID); err != nil {
		return err
	}
	return s.store.DeleteListener(ctx, listenerID)
}

// Data is what a listener has heard.
type Data struct {
	Value events.JSON
	Mode  string // replace (default) or append
	Limit int    // default 1000
	Test  bool   // for those who set the listener up
}

// Emit publishes what a listener has heard, and returns where it stands in the
// history of its room.
func (s *Service) Emit(ctx context.Context, id *auth.Identity, listenerID string, d Data) (cluster.Position, error) {
	l, err := s.Get(ctx, id, auth.WriteListeners, listenerID)
	if err != nil {
		return cluster.Position{}, err
	}
	switch {
	case d.Mode == "":
		d.Mode = "replace"
	case d.Mode != "replace" && d.Mode != "append":
		return cluster.Position{}, events.FieldErrorf("mode", "%q is not one of replace, append", d.Mode)
	}
	if d.Limit == 0 {
		d.Limit = 1000
	}
	if d.Limit < 0 {
		return cluster.Position{}, events.FieldErrorf("limit", "is negative")
	}
	if len(d.Value) == 0 {
		return cluster.Position{}, events.FieldErrorf("data", "is missing")
	}
	room := l.Room()
	if d.Test && l.Kind == Source {
		room = events.ListenerTestRoom(l.ID)
	}
	return s.publisher.Publish(ctx, room, events.ListenerEvent{
		ChannelName: string(room), Data: d.Value, Mode: d.Mode, Limit: d.Limit, Timestamp: time.Now().UnixMilli(),
	})
}
