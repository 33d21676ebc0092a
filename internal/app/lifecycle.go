package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/namespaces/monitor"
)

// Run serves until ctx ends, then stops everything in order: readiness,
// sessions, listeners, services, store. The whole stop has one deadline.
func (a *App) Run(ctx context.Context) error {
	defer a.closeData()
	// What runs beside requests outlives them: it is stopped last.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := a.instances.Register(background); err != nil {
		return err
	}
	owning, disown := context.WithCancel(background)
	defer disown()
	var owner, running sync.WaitGroup
	owner.Go(func() { a.instances.Run(owning) })
	if a.bus != nil {
		running.Go(func() { a.bus.Run(background) })
	}
	running.Go(func() { a.socket.Run(background) })
	running.Go(func() { a.auth.Run(background) })
	running.Go(func() { a.revocations.Run(background, a.opts.Config.Auth.RevocationInterval) })
	running.Go(func() { a.sessions.Run(background) })
	running.Go(func() { a.history.Run(background) })
	running.Go(func() { a.once.Run(background) })
	running.Go(func() {
		a.lines.Run(background, func(l logstream.Line) { monitor.PublishLine(a.publishToMonitor, l) })
	})
	running.Go(func() {
		monitor.RunStats(background, a.opts.Config.Monitor.StatsInterval, a.publishStats, a.stats)
	})
	failed := make(chan error, len(a.addrs))
	for _, l := range a.addrs {
		running.Go(func() { failed <- a.serve(l) })
	}
	a.ready.Store(true)
	a.log.Info("server is ready", "addresses", a.Addrs(), "version", Version)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	err = errors.Join(err, a.stop())
	disown()
	owner.Wait()
	if a.bus != nil {
		a.bus.Send(cluster.Note{Topic: noteStopped})
	}
	stop()
	running.Wait()
	return err
}

func (a *App) serve(l net.Listener) error {
	if err := a.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving %s: %w", l.Addr(), err)
	}
	return nil
}

// stop ends what Run began. Each step has what the ones before have left of
// the time; clients that take none of theirs cannot use up that of the others.
func (a *App) stop() error {
	limit := a.opts.Config.Server.ShutdownTimeout
	a.ready.Store(false)
	a.log.Info("server is stopping", "limit", limit)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	clients, cancelClients := context.WithTimeout(ctx, limit/2)
	defer cancelClients()
	errs := []error{
		a.socket.Close(clients),  // polls that wait are answered, and new ones refused
		a.http.Shutdown(clients), // listeners, and requests under way
	}
	a.http.Close()
	if a.peers != nil {
		a.peers.Close(ctx)
	}
	errs = append(errs, a.chat.Close(ctx), a.workflows.Close(ctx))
	a.bridge.Close()
	a.history.Close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// publishToMonitor must not log: what it logged would be published.
func (a *App) publishToMonitor(room events.Room, offset uint64, p events.Payload) {
	a.socket.Publish(monitor.Name, room, cluster.Position{Offset: offset}, p)
}

func (a *App) publishStats(room events.Room, p events.Payload) {
	a.socket.PublishVolatile(monitor.Name, room, p)
}

func (a *App) stats() events.Stats {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	s := a.socket.Stats()
	return events.Stats{
		Connections: s.Connections, Sessions: s.Sessions, Rooms: s.Rooms,
		Events:     events.EventStats{Received: s.Received, Published: s.Published, Delivered: s.Delivered, LogsDropped: a.lines.Dropped()},
		Memory:     events.MemoryStats{Heap: mem.HeapAlloc, Stack: mem.StackInuse, Total: mem.Sys},
		Goroutines: runtime.NumGoroutine(),
		Uptime:     int64(time.Since(a.started).Seconds()),
		Timestamp:  time.Now().UnixMilli(),
	}
}
