package app

import (
	"context"
	"strings"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/namespaces/monitor"
)

// newExchange brings the logs and numbers of other servers to /monitor.
func (a *App) newExchange() {
	a.exchange = logstream.NewExchange(a.lines, logstream.ExchangeOptions{
		Notes: a.bus, Call: a.peers.Call, Others: a.others,
		Stats: func(s events.Stats) { a.publishStats(monitor.StatsRoom, s) },
	})
	a.peers.Handle(logstream.MethodRecent, a.exchange.Recent)
}

// watchers are the exchange as the namespace needs it.
func (a *App) watchers() monitor.Watchers {
	if a.exchange == nil {
		return nil
	}
	return a.exchange
}

// others returns the other servers that share the database, as they are
// called on the bus.
func (a *App) others(ctx context.Context) (names []string) {
	alive, err := a.instances.Alive(ctx)
	if err != nil {
		return nil // they are heard of when they say something
	}
	for _, id := range alive {
		if name, _, _ := strings.Cut(id, "/"); name != a.bus.Self() {
			names = append(names, name)
		}
	}
	return names
}

// ownStats returns the numbers of this server, which others hear of too.
func (a *App) ownStats() events.Stats {
	s := a.Stats()
	if a.exchange != nil {
		a.exchange.ShareStats(s)
	}
	return s
}
