package app

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/peers"
	"github.com/roomcast/roomcast/internal/workflow"
)

// revokedTopic is of the notes that tell of a revocation, which is in the
// database: who has them waits for nothing.
const revokedTopic = "identity.revoked"

// newPeers gives this server its name, and the way to the others if there may
// be any.
func (a *App) newPeers() {
	a.instance = events.Instance{ID: uuid.NewString()}
	a.instance.Host, _ = os.Hostname() // it is only for people
	if a.bus != nil {
		a.instance.ID = a.bus.Self()
	}
	a.lines.Name(a.instance)
	if a.bus == nil {
		return
	}
	a.peers = peers.New(peers.Options{Notes: a.bus, Logger: a.log})
	a.revocations.Announce(func() { a.bus.Send(cluster.Note{Topic: revokedTopic}) })
	a.bus.Listen(revokedTopic, func(cluster.Note) { a.revocations.Wake() })
}

// workflowPeers are the peers as workflows need them.
func (a *App) workflowPeers() workflow.Peers {
	if a.peers == nil {
		return nil
	}
	return a.peers
}

// watchInterval is how often the bus is looked at.
const watchInterval = 500 * time.Millisecond

// watchBus logs, and so tells in /monitor, when the bus goes down or comes up.
func (a *App) watchBus(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	up := true // so that one that never comes up is told
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := a.bus.Status()
		if s.Up == up || time.Since(began) < watchInterval { // it may still be connecting
			continue
		}
		up = s.Up
		if up {
			a.log.Info("the bus is up: this server is one of the cluster again", "since", s.Since, "lost", s.Lost)
		} else {
			a.log.Error("the bus is down: this server goes on alone", "since", s.Since, "reason", s.Error, "waiting", s.Waiting)
		}
	}
}

func (a *App) busStats() events.BusStats {
	if a.bus == nil {
		return events.BusStats{Status: events.BusNone}
	}
	s := a.bus.Status()
	stats := events.BusStats{Status: events.BusDown, Since: s.Since.UnixMilli()}
	if s.Up {
		stats.Status = events.BusUp
	}
	return stats
}

// arrived is told of every numbered publication of another server.
func (a *App) arrived(namespace string, room events.Room) {
	if namespace == "/" && !strings.Contains(string(room), ":") { // of a run, or a conversation
		a.bridge.RunTouched(string(room))
	}
}
