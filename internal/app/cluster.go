package app

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/certificate"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/every"
	"github.com/roomcast/roomcast/internal/instances"
	"github.com/roomcast/roomcast/internal/peers"
	"github.com/roomcast/roomcast/internal/redis"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/journal"
)

// noteRevoked tells of a revocation. It is in the database: who has the note
// waits for nothing.
const noteRevoked = "identity.revoked"

// newBus builds what carries messages between servers, if there is anything.
func (a *App) newBus() error {
	c := a.opts.Config.Redis
	if a.bus == nil && c.Enabled() {
		bus, err := redis.New(busOptions(c, a.log))
		if err != nil {
			return err
		}
		a.bus = bus
	}
	if a.bus == nil {
		return nil
	}
	a.peers = peers.New(peers.Options{Notes: a.bus, Logger: a.log})
	a.revocations.Announce(func() { a.bus.Send(cluster.Note{Topic: noteRevoked}) })
	a.newExchange()
	a.bus.Listen(noteRevoked, func(cluster.Note) { a.revocations.Wake() })
	return nil
}

func busOptions(c config.Redis, log *slog.Logger) redis.Options {
	return redis.Options{
		URL: string(c.URL), Addrs: c.Addrs, Master: c.Master, Cluster: c.Cluster, DB: c.DB,
		Username: c.Username, Password: string(c.Password), SentinelUsername: c.SentinelUsername, SentinelPassword: string(c.SentinelPassword),
		TLS: certificate.Client(c.TLS), Adapter: c.Adapter, Prefix: c.Prefix,
		Stream:  redis.Stream{Name: c.Stream.Name, MaxLen: int64(c.Stream.MaxLen), Count: c.Stream.Count},
		Timeout: c.Timeout, DialTimeout: c.DialTimeout, MaxWait: c.MaxWait,
		QueueLength: c.QueueLength, QueueBytes: int64(c.QueueBytes), Log: log,
	}
}

// newInstances makes this server one of those that share the database.
func (a *App) newInstances() {
	c := a.opts.Config
	a.instance = events.Instance{ID: uuid.NewString()}
	if a.bus != nil {
		a.instance.ID = a.bus.Self() // by which the others reach it
	}
	a.instance.Host, _ = os.Hostname() // it is only for people
	a.lines.Name(a.instance)
	a.instances = instances.New(instances.Options{
		Store: a.db.Instances(), Name: a.instance.ID, Heartbeat: c.Instance.Heartbeat, Expiry: c.Instance.Expiry,
		Alone: c.Store.Driver == config.SQLite, Logger: a.log,
	})
}

// noteStopped says that an instance has stopped, and what it owned is free.
const noteStopped = "instance.stopped"

// hearInstances makes this server do what the end of another one asks for.
func (a *App) hearInstances() {
	a.instances.OnGone(func([]string) { a.socket.CatchUp() })
	if a.bus != nil {
		a.bus.Listen(noteStopped, func(cluster.Note) { a.instances.Sweep() })
	}
}

// workflowPeers are the other instances as runs need them, nil if there is no
// way to them.
func (a *App) workflowPeers() journal.Peers {
	if a.peers == nil {
		return nil
	}
	return a.peers
}

// chatPeers are the other instances as conversations need them.
func (a *App) chatPeers() chat.Peers {
	if a.peers == nil {
		return nil
	}
	return a.peers
}

// noteChatChanged tells of a conversation that somebody may have to leave.
const noteChatChanged = "chat.changed"

// announceChats tells the other servers of such a conversation.
func (a *App) announceChats() func([]byte) {
	if a.bus == nil {
		return nil
	}
	return func(data []byte) { a.bus.Send(cluster.Note{Topic: noteChatChanged, Data: data}) }
}

// resumed is told of every run that was taken over. What its owner before did
// last may be known to nobody.
func (a *App) resumed(run workflow.Run, through uint64) {
	a.bridge.RunTouched(run.ID)
	a.socket.Reached("/", events.RunRoom(run.ID), through)
}

// watchInterval is how often the bus is looked at.
const watchInterval = 500 * time.Millisecond

// watchBus logs, and so tells in /monitor, when the bus goes down or comes up.
func (a *App) watchBus(ctx context.Context) {
	up, came := true, int64(0) // so that one that never comes up is told
	began := time.Now()
	every.Do(ctx, watchInterval, func(time.Time) {
		s := a.bus.Status()
		changed, back := s.Up != up, s.Reconnects > came
		if time.Since(began) < watchInterval { // it may still be connecting
			return
		}
		up, came = s.Up, s.Reconnects
		switch {
		case changed && !up:
			a.log.Error("the bus is down: this server goes on alone", "since", s.Since, "reason", s.Error, "waiting", s.Waiting)
		case changed:
			a.chat.Changed(nil) // notes may have been lost
			a.log.Info("the bus is up: this server is one of the cluster again", "since", s.Since, "lost", s.Lost)
		case up && back:
			a.chat.Changed(nil)
			a.log.Warn("the bus was down for a moment", "since", s.Since, "lost", s.Lost)
		}
	})
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
