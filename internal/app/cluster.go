package app

import (
	"strings"

	"github.com/roomcast/roomcast/events"
)

// arrived is told of every numbered publication of another server.
func (a *App) arrived(namespace string, room events.Room) {
	if namespace == "/" && !strings.Contains(string(room), ":") { // of a run, or a conversation
		a.bridge.RunTouched(string(room))
	}
}
