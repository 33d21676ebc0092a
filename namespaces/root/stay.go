package root

import (
	"context"
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// mayStay decides whether a user may be in a room of the namespace, by the row
// that the room is of and the table in auth. A row that is gone lets nobody
// stay.
func (s Services) mayStay(ctx context.Context, id *auth.Identity, room events.Room) (bool, error) {
	name := string(room)
	if widgetID, ok := strings.CutPrefix(name, "widget:"); ok {
		tenant, err := s.Widgets.Owner(ctx, widgetID)
		return err == nil && id.MayBeIn("widget", tenant, ""), err
	}
	name, stream := strings.CutPrefix(name, string(events.ChatStreamRoom("")))
	if stream {
		return s.mayChat(ctx, id, "chat_stream", name)
	}
	if strings.Contains(name, ":") {
		found, err := roomRoutes{workflows: s.Workflows, listeners: s.Listeners}.find(ctx, id, name)
		return found == room && err == nil, unlessNotFound(err)
	}
	run, err := s.Workflows.Run(ctx, id, auth.ReadRuns, name)
	if err == nil {
		return id.MayBeIn("run", run.Tenant, ""), nil
	}
	if err := unlessNotFound(err); err != nil {
		return false, err
	}
	return s.mayChat(ctx, id, "chat", name)
}

// mayChat decides whether a user may be in a conversation: as its owner, or as
// a member that its owner has let in.
func (s Services) mayChat(ctx context.Context, id *auth.Identity, kind auth.RoomKind, roomID string) (bool, error) {
	chat, err := s.Chat.Room(ctx, id, roomID) // knows the members
	return err == nil && id.MayBeIn(kind, chat.Tenant, id.User), unlessNotFound(err)
}

// unlessNotFound drops the refusal of what does not exist for a user: that is
// an answer, not a failure.
func unlessNotFound(err error) error {
	if e, meant := events.Public(err); err == nil || meant && (e.Code == events.CodeNotFound || e.Code == events.CodePermissionDenied) {
		return nil
	}
	return err
}
