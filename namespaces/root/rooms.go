package root

import (
	"context"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/namespaces"
)

// roomRoutes lets clients into the rooms that back ends publish to. What a
// client names is looked up; it never becomes a room as it is.
type roomRoutes struct{ listeners *listener.Service }

func (r roomRoutes) routes() []namespaces.Route {
	return []namespaces.Route{
		namespaces.Handle("join_room", r.join),
		namespaces.Handle("leave_room", r.leave),
		namespaces.Handle("join_tenant", r.joinTenant),
	}
}

type roomNamed struct {
	Room events.Room `json:"room"`
}

func (r roomRoutes) join(ctx context.Context, s namespaces.Session, name string) (roomNamed, error) {
	room, err := r.find(ctx, s.Identity(), name)
	if err != nil {
		return roomNamed{}, err
	}
	s.Join(room)
	return roomNamed{room}, nil
}

// leave takes any name that join takes; leaving a room one is not in does no
// harm.
func (r roomRoutes) leave(_ context.Context, s namespaces.Session, name string) (roomNamed, error) {
	for _, prefix := range []string{"tenant:", "listener:", "listener_test:"} {
		if strings.HasPrefix(name, prefix) {
			s.Leave(events.Room(name))
			return roomNamed{events.Room(name)}, nil
		}
	}
	return roomNamed{}, events.NotFound("room", name)
}

func (r roomRoutes) joinTenant(ctx context.Context, s namespaces.Session, tenant string) (roomNamed, error) {
	return r.join(ctx, s, string(events.TenantRoom(tenant)))
}

// find returns the room of an existing row that the user may see. Unknown and
// foreign rows get the same refusal.
func (r roomRoutes) find(ctx context.Context, id *auth.Identity, name string) (events.Room, error) {
	refused := events.NotFound("room", name)
	if tenant, ok := strings.CutPrefix(name, "tenant:"); ok {
		if !id.MayBeIn("tenant", tenant, "") {
			return "", refused
		}
		return events.TenantRoom(tenant), nil
	}
	kind, test := listener.Source, false
	listenerID, ok := strings.CutPrefix(name, "listener:app_page:")
	if ok {
		kind = listener.AppPage
	} else if listenerID, ok = strings.CutPrefix(name, "listener_test:"); ok {
		test = true
	} else if listenerID, ok = strings.CutPrefix(name, "listener:"); !ok {
		return "", refused
	}
	l, err := r.listeners.Get(ctx, id, auth.ReadListeners, listenerID)
	if err != nil {
		if e, meant := events.Public(err); meant && e.Code == events.CodeNotFound {
			return "", refused
		}
		return "", err
	}
	policy, room := auth.RoomKind("listener"), l.Room()
	switch {
	case test:
		policy, room = "listener_test", events.ListenerTestRoom(l.ID)
	case kind == listener.AppPage:
		policy = "listener:app_page"
	}
	if l.Kind != kind || !id.MayBeIn(policy, l.Tenant, "") {
		return "", refused
	}
	return room, nil
}
