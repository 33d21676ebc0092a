package rawws

import (
	"context"
	"slices"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// JoinUser puts the session into the rooms of its user, where notifications and
// the like go: there is one in each tenant. It is for Receive and Entered, like
// the others here.
func (s *Session) JoinUser(ctx context.Context) *events.Error {
	user := s.Identity().User
	return s.JoinInTenants(ctx, func(tenant string) events.Room { return events.UserRoom(tenant, user) })
}

// JoinEntity puts the session into the rooms of an entity. Clients name no
// tenant, so it is in all of those that they are in.
func (s *Session) JoinEntity(ctx context.Context, entityType, entityID string) *events.Error {
	return s.JoinInTenants(ctx, func(tenant string) events.Room { return events.EntityRoom(tenant, entityType, entityID) })
}

// JoinAgent is JoinEntity for an agent.
func (s *Session) JoinAgent(ctx context.Context, agentID string) *events.Error {
	return s.JoinInTenants(ctx, func(tenant string) events.Room { return events.AgentRoom(tenant, agentID) })
}

// JoinInTenants joins the rooms of one kind in all tenants that the user may
// hear, or in the one that the address names.
func (s *Session) JoinInTenants(ctx context.Context, room func(tenant string) events.Room) *events.Error {
	if only := s.conn.tenant; only != "" && s.Identity().Role(only) == "" {
		return events.NotFound("tenant", only)
	}
	rooms := s.inTenants(room)
	if len(rooms) == 0 {
		return events.Errorf(events.CodePermissionDenied, "you are in no tenant, or your role does not include %s", auth.JoinTenant)
	}
	in := s.Rooms()
	for _, r := range rooms {
		if slices.Contains(in, r) {
			continue
		}
		if err := s.Do(ctx, "join_room", r, nil); err != nil {
			return err
		}
	}
	return nil
}

// LeaveInTenants leaves the rooms that JoinInTenants has joined.
func (s *Session) LeaveInTenants(ctx context.Context, room func(tenant string) events.Room) *events.Error {
	for _, r := range s.inTenants(room) {
		if err := s.Do(ctx, "leave_room", r, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) inTenants(room func(tenant string) events.Room) (rooms []events.Room) {
	id, only := s.Identity(), s.conn.tenant
	for _, m := range id.Tenants {
		if id.Can(auth.JoinTenant, m.ID) && (only == "" || m.ID == only) {
			rooms = append(rooms, room(m.ID))
		}
	}
	return rooms
}
