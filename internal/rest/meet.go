package rest

import (
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// DocumentedTurnPath is where clients of meetings are documented to ask for
// credentials.
const DocumentedTurnPath = "/api/meet/turn-credentials"

func (a *API) meetRoutes() {
	a.handle("GET /api/v1/meet/turn-credentials", a.turnCredentials)
	a.handle("GET "+DocumentedTurnPath, a.turnCredentials)
}

// turnCredentials returns the servers by which participants of meetings reach
// each other, with credentials that end soon.
func (a *API) turnCredentials(r *request) (any, error) {
	if !r.id.CanSomewhere(auth.Meet) {
		return nil, events.Errorf(events.CodePermissionDenied, "you may not take part in meetings")
	}
	return map[string]any{"ice_servers": a.opts.Turn.Servers(r.id.User, time.Now())}, nil
}
