package rawws

import (
	"context"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// A channel is something to subscribe to. Both are idempotent.
type channel struct {
	join, leave func(ctx context.Context) *events.Error
}

// subscription subscribes or unsubscribes.
func (s *service) subscription(ctx context.Context, f frame) *events.Error {
	name, err := textIn(f, "channel")
	if err != nil {
		return err
	}
	c, err := s.channel(name)
	if err != nil {
		return err
	}
	do, done := c.join, "subscribed"
	if f.kind == "unsubscribe" {
		do, done = c.leave, "unsubscribed"
	}
	if err := do(ctx); err != nil {
		return unavailable(name, err)
	}
	if s.opts.Acks {
		s.say(done, map[string]string{"channel": name})
	}
	return nil
}

// unavailable is a refusal in which a channel is called as the client calls it.
func unavailable(name string, e *events.Error) *events.Error {
	if e.Code == events.CodeNotFound || e.Code == events.CodeValidation && e.Field != "tenant" {
		return events.NotFound("channel", name)
	}
	return e
}

// channel returns what a name stands for: a kind and an id. Kinds that are not
// of the server are types of entities.
func (s *service) channel(name string) (channel, *events.Error) {
	kind, id, ok := strings.Cut(name, ":")
	if !ok || kind == "" || id == "" {
		return channel{}, events.FieldErrorf("data.channel", "%q is not a kind and an id with a colon between them, such as conversation:conv-123", name)
	}
	session := s.conn.Session()
	switch kind {
	case "conversation":
		return s.conversation(id), nil
	case events.RunEntity:
		return s.run(id), nil
	case "tenant", "listener", "listener_test":
		return channel{
			func(ctx context.Context) *events.Error { return session.Do(ctx, "join_room", name, nil) },
			func(ctx context.Context) *events.Error { return session.Do(ctx, "leave_room", name, nil) },
		}, nil
	case "user":
		if id != session.Identity().User {
			return channel{}, events.NotFound("channel", name)
		}
		return s.inTenants(func(tenant string) events.Room { return events.UserRoom(tenant, id) }), nil
	case "agent":
		return s.inTenants(func(tenant string) events.Room { return events.AgentRoom(tenant, id) }), nil
	}
	return s.inTenants(func(tenant string) events.Room { return events.EntityRoom(tenant, kind, id) }), nil
}

func (s *service) inTenants(room func(tenant string) events.Room) channel {
	return channel{
		func(ctx context.Context) *events.Error { return s.conn.Session().JoinInTenants(ctx, room) },
		func(ctx context.Context) *events.Error { return s.conn.Session().LeaveInTenants(ctx, room) },
	}
}

func (s *service) conversation(name string) channel {
	return channel{
		func(ctx context.Context) *events.Error {
			_, err := s.enter(ctx, name)
			return err
		},
		func(ctx context.Context) *events.Error {
			room, in := s.in.room(name)
			if !in {
				return nil
			}
			s.in.remove(name)
			return s.conn.Session().Do(ctx, "ai_chat_room_disconnect", map[string]string{"chatRoomID": room}, nil)
		},
	}
}

// enter puts the client into a conversation, which is made if it is new.
func (s *service) enter(ctx context.Context, name string) (room string, err *events.Error) {
	if room, in := s.in.room(name); in {
		return room, nil
	}
	tenant, err := s.conn.Tenant()
	if err != nil {
		return "", err
	}
	session := s.conn.Session()
	room, _, failed := s.opts.Conversations.Named(ctx, session.Identity(), tenant, name)
	if failed != nil {
		return "", misnamed(public(failed))
	}
	if other, in := s.in.name(room); in {
		return "", events.Errorf(events.CodeConflict, "you have subscribed to this conversation as %q: call it that", other)
	}
	s.in.add(name, room)
	if err := session.Do(ctx, "ai_chat_room_join", map[string]string{"chatRoomID": room}, nil); err != nil {
		s.in.remove(name)
		return "", err
	}
	s.in.opened(name)
	return room, nil
}

// run follows a run from its first node. It is in the list before, as what has
// happened is told while the client joins.
func (s *service) run(id string) channel {
	return channel{
		func(ctx context.Context) *events.Error {
			was := s.follow(id, true)
			err := s.conn.Session().Do(ctx, "workflow_run_join", map[string]string{"runId": id}, nil)
			if err != nil && !was {
				s.follow(id, false)
			}
			return err
		},
		func(context.Context) *events.Error {
			if s.follow(id, false) {
				s.conn.Session().Quit(events.RunRoom(id))
			}
			return nil
		},
	}
}

// follow notes whether the client is subscribed to a run, and returns whether it
// was.
func (s *service) follow(runID string, now bool) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.runs[runID]
	delete(s.runs, runID)
	if now {
		s.runs[runID] = true
	}
	return was
}

// misnamed is a refusal in which the name of a conversation is called as here.
func misnamed(e *events.Error) *events.Error {
	if e.Code == events.CodeValidation {
		return events.FieldErrorf("data.conversation_id", "is not 1 to 128 printable characters")
	}
	return e
}
