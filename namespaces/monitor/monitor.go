// Package monitor is the namespace in which administrators watch the server:
// its log, beginning with the latest lines, and its numbers.
package monitor

import (
	"context"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/namespaces"
)

// Name is the name of the namespace.
const Name = "/monitor"

// Watchers are told who watches, so that what other servers log is brought
// here while somebody does.
type Watchers interface {
	// Watch may take a moment, in which the latest lines of other servers come.
	Watch(ctx context.Context)
	Unwatch()
}

// New returns the namespace. watchers is nil if there are no other servers.
func New(log *logstream.Stream, watchers Watchers) namespaces.Namespace {
	if watchers == nil {
		watchers = alone{}
	}
	return namespaces.Namespace{
		Name:    Name,
		Admit:   admit,
		MayStay: mayStay,
		Local:   true,
		Left:    func(s namespaces.Session, room events.Room) { left(s, room, log) },
		Opened: func(ctx context.Context, s namespaces.Session) {
			watchers.Watch(ctx)
			open(ctx, s, log)
		},
		Closed: func(namespaces.Session) { watchers.Unwatch() },
	}
}

// alone are the Watchers of a server without others.
type alone struct{}

func (alone) Watch(context.Context) {}
func (alone) Unwatch()              {}

func admit(id *auth.Identity) error {
	if !id.CanMonitor() {
		return events.Errorf(events.CodePermissionDenied, "the monitor is for administrators")
	}
	return nil
}

func open(ctx context.Context, s namespaces.Session, log *logstream.Stream) {
	s.Join(StatsRoom)
	follow(ctx, s, log, logRooms(s.Identity())) // fails only if the client is gone, or reads nothing
}

// left lets a user who may no longer see everything see on what there still is
// to see.
func left(s namespaces.Session, room events.Room, log *logstream.Stream) {
	if room == events.LogRoomAll {
		followFrom(context.Background(), s, log, log.Last(), logRooms(s.Identity()))
	}
}
