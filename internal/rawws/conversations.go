package rawws

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// Conversations are those that clients call by names of their own.
type Conversations interface {
	// Named returns the id of the conversation that a user means by a name, and
	// whether it was made for that.
	Named(ctx context.Context, id *auth.Identity, tenant, name string) (roomID string, made bool, err error)
	// Return returns how far a client was brought that comes into a conversation,
	// as far as that can be known, and the epoch of that; known is false if none of
	// its user ever was there. MoveCursor notes how far one is brought, and Depart
	// how far one was that goes: others of its user may get more before it is back.
	Return(ctx context.Context, id *auth.Identity, roomID string) (since events.Since, known bool, err error)
	MoveCursor(ctx context.Context, id *auth.Identity, roomID string, offset uint64) error
	Depart(ctx context.Context, id *auth.Identity, roomID string, offset uint64) error
}

// named are the conversations of a connection, under the names that its client
// knows them by.
type named struct {
	mu    sync.Mutex
	rooms map[string]string // by name
	names map[events.Room]string
	shut  map[string]bool // the names of those that the client was taken out of
}

// maxShut bounds what is kept of conversations that clients were taken out of.
const maxShut = 64

func (n *named) add(name, roomID string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.rooms == nil {
		n.rooms, n.names = make(map[string]string), make(map[events.Room]string)
	}
	n.rooms[name] = roomID
	n.names[events.ChatRoom(roomID)] = name
	n.names[events.ChatStreamRoom(roomID)] = name
}

// close notes that the client was taken out of a conversation, and returns what
// it called that.
func (n *named) close(roomID string) (name string, in bool) {
	if name, in = n.name(roomID); !in {
		return "", false
	}
	n.remove(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut == nil || len(n.shut) >= maxShut {
		n.shut = make(map[string]bool)
	}
	n.shut[name] = true
	return name, true
}

// closed reports whether the client was taken out of a conversation that it
// called so, and has not come back since.
func (n *named) closed(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.shut[name]
}

// opened notes that the client knows of a conversation of that name again.
func (n *named) opened(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.shut, name)
}

func (n *named) remove(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	roomID := n.rooms[name]
	delete(n.rooms, name)
	delete(n.names, events.ChatRoom(roomID))
	delete(n.names, events.ChatStreamRoom(roomID))
}

// room returns the conversation of a name that the client is in.
func (n *named) room(name string) (roomID string, in bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	roomID, in = n.rooms[name]
	return roomID, in
}

// all returns the conversations that the client is in.
func (n *named) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(maps.Values(n.rooms))
}

// count returns how many conversations the client is in.
func (n *named) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.rooms)
}

// name returns what the client calls a conversation.
func (n *named) name(roomID string) (name string, in bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, in = n.names[events.ChatRoom(roomID)]
	return name, in
}

// Tenant returns the tenant that the client speaks for: that which the address
// names, else its only one. It is for Receive.
func (c *Conn) Tenant() (string, *events.Error) {
	id := c.session.Identity()
	if tenant := c.tenant; tenant != "" {
		if id.Role(tenant) == "" {
			return "", events.NotFound("tenant", tenant)
		}
		return tenant, nil
	}
	if tenant, only := id.OnlyTenant(); only {
		return tenant, nil
	}
	return "", events.FieldErrorf("tenant", "is missing: you belong to several tenants, add ?tenant= to the address")
}
