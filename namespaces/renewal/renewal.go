// Package renewal is what every namespace has besides its own: only those may
// emit an event whom auth's policy lets, sessions renew their credential in
// place with auth_refresh, and end with it.
package renewal

import (
	"context"
	"fmt"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/namespaces"
)

// Extend returns a namespace with that.
func Extend(ns namespaces.Namespace, live *identity.Live) namespaces.Namespace {
	r := renewal{live, rules(ns)}
	routes := append([]namespaces.Route{namespaces.Handle("auth_refresh", r.refresh)}, ns.Routes...)
	for i, route := range routes {
		routes[i] = route.Guarded(func(s namespaces.Session) error { return mayEmit(s, route.Event) })
	}
	ns.Routes = routes
	opened, closed := ns.Opened, ns.Closed
	ns.Opened = func(ctx context.Context, s namespaces.Session) {
		// First, because what the namespace does may take its time.
		live.Opened(renewable(s), r.rules)
		if opened != nil {
			opened(ctx, s)
		}
	}
	ns.Closed = func(s namespaces.Session) {
		live.Closed(renewable(s))
		if closed != nil {
			closed(s)
		}
	}
	return ns
}

// renewable is a session that can be renewed and ended. A transport whose
// sessions cannot would leave people in whose credential is gone.
func renewable(s namespaces.Session) identity.Session {
	session, ok := s.(identity.Session)
	if !ok {
		panic(fmt.Sprintf("renewal: %T does not implement identity.Session", s))
	}
	return session
}

type renewal struct {
	live  *identity.Live
	rules identity.Rules
}

func rules(ns namespaces.Namespace) identity.Rules {
	r := identity.Rules{Namespace: ns.Name, Admit: ns.Admit, MayStay: ns.MayStay}
	if ns.Left != nil {
		r.Left = func(s identity.Session, room events.Room) { ns.Left(s.(namespaces.Session), room) }
	}
	return r
}

func mayEmit(s namespaces.Session, event string) error {
	if !s.Identity().CanEmit(event) {
		return events.Errorf(events.CodePermissionDenied, "none of your roles includes %s", event)
	}
	return nil
}

type refresh struct {
	Token  string `json:"token,omitempty"`
	APIKey string `json:"apiKey,omitempty"`
}

type refreshed struct {
	ExpiresAt *events.Time  `json:"expiresAt"` // null: never
	Left      []events.Room `json:"left"`      // rooms that the user may no longer be in
}

// refresh renews the credential of a session without a new connection.
func (r renewal) refresh(ctx context.Context, s namespaces.Session, in refresh) (refreshed, error) {
	text := in.Token
	if text == "" {
		text = in.APIKey
	}
	if text == "" {
		return refreshed{}, events.FieldErrorf("token", "is missing: send token or apiKey")
	}
	left, err := r.live.Refresh(ctx, renewable(s), auth.FromText(text))
	if err != nil {
		return refreshed{}, err
	}
	out := refreshed{Left: append([]events.Room{}, left...)}
	if end := s.Identity().Expires; !end.IsZero() {
		out.ExpiresAt = &events.Time{Time: end}
	}
	return out, nil
}
