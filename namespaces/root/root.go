// Package root is the default namespace: AI chat, workflow runs, and widgets
// bound to workflows. Each file is one feature; a row of its routes and the
// message of the same name in the contract are all there is to an event.
package root

import (
	"strings"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/namespaces"
)

// Name is the name of the namespace.
const Name = "/"

// Services are what the namespace makes available to clients.
type Services struct {
	Chat      *chat.Service
	Workflows *workflow.Service
	Widgets   *bridge.Service
	Listeners *listener.Service
	History   *history.Service
	Once      *once.Service
}

// New returns the namespace.
func New(s Services) namespaces.Namespace {
	followed := newFollowed()
	aiChat, rooms := newAIChat(s.Chat, s.Once, s.epoch(), followed), newRunRooms(followed)
	if s.Chat != nil { // not in the test of the contract
		s.Chat.OnChange(aiChat.changed)
	}
	keeper := keeper{followed, rooms, aiChat, s.Widgets}
	var routes []namespaces.Route
	routes = append(routes, aiChat.routes()...)
	routes = append(routes, workflowRun{s.Workflows, s.epoch(), rooms}.routes()...)
	routes = append(routes, widgetWorkflow{s.Widgets, s.Once, s.epoch(), rooms}.routes()...)
	routes = append(routes, roomRoutes{s.Workflows, s.Listeners, s.History, followed}.routes()...)
	return namespaces.Namespace{
		Name:    Name,
		Routes:  routes,
		MayStay: s.mayStay,
		Left: func(session namespaces.Session, room events.Room) {
			if widgetID, ok := strings.CutPrefix(string(room), "widget:"); ok {
				// What happens in its run reaches a widget by way of its binding too.
				s.Widgets.Disconnect(widgetSession{session, rooms}, widgetID)
				return
			}
			followed.drop(session, room)
			rooms.expel(session, string(room))
			aiChat.left(session, room)
		},
		Closed: func(session namespaces.Session) {
			aiChat.forget(session)
			s.Widgets.Forget(widgetSession{session, rooms})
			rooms.forget(session)
			followed.forget(session)
		},
		Save:    keeper.save,
		Restore: keeper.restore,
	}
}

// epoch is that of all offsets. Without services, as the test of the contract
// makes the namespace, there is none.
func (s Services) epoch() string {
	if s.History == nil {
		return ""
	}
	return s.History.Epoch()
}

// sameUser refuses payloads that name another user than the one who is signed
// in. Clients may leave the name out.
func sameUser(id *auth.Identity, firebaseID string) error {
	if firebaseID == "" || firebaseID == id.User {
		return nil
	}
	return &events.Error{Code: events.CodePermissionDenied, Field: "firebaseID", Message: "firebaseID: you are signed in as someone else"}
}
