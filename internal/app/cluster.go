package app

import (
	"log/slog"
	"strings"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/instances"
	"github.com/roomcast/roomcast/internal/peers"
	"github.com/roomcast/roomcast/internal/redis"
	"github.com/roomcast/roomcast/internal/workflow"
)

// newBus builds what carries messages between servers, if there is anything.
func (a *App) newBus() error {
	c := a.opts.Config.Redis
	if !c.Enabled() {
		return nil
	}
	bus, err := redis.New(busOptions(c, a.log))
	if err != nil {
		return err
	}
	a.bus = bus
	a.peers = peers.New(peers.Options{Notes: bus, Logger: a.log})
	if a.opts.Config.Store.Driver == config.SQLite {
		a.log.Warn("servers on one Redis should share a database: set store.driver to postgres, unless this is the only one of this program")
	}
	return nil
}

func busOptions(c config.Redis, log *slog.Logger) redis.Options {
	return redis.Options{
		URL: string(c.URL), Addrs: c.Addrs, Master: c.Master, Cluster: c.Cluster, DB: c.DB,
		Username: c.Username, Password: string(c.Password), SentinelUsername: c.SentinelUsername, SentinelPassword: string(c.SentinelPassword),
		TLS: redis.TLS(c.TLS), Adapter: c.Adapter, Prefix: c.Prefix,
		Stream:  redis.Stream{Name: c.Stream.Name, MaxLen: int64(c.Stream.MaxLen), Count: c.Stream.Count},
		Timeout: c.Timeout, DialTimeout: c.DialTimeout, MaxWait: c.MaxWait,
		QueueLength: c.QueueLength, QueueBytes: int64(c.QueueBytes), Log: log,
	}
}

// newInstances makes this server one of those that share the database.
func (a *App) newInstances() {
	c := a.opts.Config
	name := uuid.NewString()
	if a.bus != nil {
		name = a.bus.Self() // by which the others reach it
	}
	a.instances = instances.New(instances.Options{
		Store: a.db.Instances(), Name: name, Heartbeat: c.Instance.Heartbeat, Expiry: c.Instance.Expiry,
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
func (a *App) workflowPeers() workflow.Peers {
	if a.peers == nil {
		return nil
	}
	return a.peers
}

// resumed is told of every run that was taken over. What its owner before did
// last may be known to nobody.
func (a *App) resumed(run workflow.Run, through uint64) {
	a.bridge.RunTouched(run.ID)
	a.socket.Reached("/", events.RunRoom(run.ID), through)
}

// arrived is told of every numbered publication of another server.
func (a *App) arrived(namespace string, room events.Room) {
	if namespace == "/" && !strings.Contains(string(room), ":") { // of a run, or a conversation
		a.bridge.RunTouched(string(room))
	}
}
