package rawws

import (
	"cmp"
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
}

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
	if tenant := c.namedTenant(); tenant != "" {
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

// namedTenant returns the tenant that the address names, "" if it names none.
func (c *Conn) namedTenant() string { return cmp.Or(c.query.Get("tenant"), c.query.Get("org_id")) }
