package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces/monitor"
	"github.com/roomcast/roomcast/namespaces/root"
)

// Run serves until ctx ends, then stops everything in order: readiness,
// sessions, which are sent elsewhere, listeners, services, store. The whole stop
// has one deadline.
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
		running.Go(func() { a.watchBus(background) })
		running.Go(func() { a.exchange.Run(background) })
	}
	if a.temporal != nil {
		running.Go(func() { a.temporal.Run(background) })
	}
	running.Go(func() { a.socket.Run(background) })
	if a.websocket != nil {
		running.Go(func() { a.websocket.Run(background) })
	}
	running.Go(func() { a.auth.Run(background) })
	running.Go(func() { a.revocations.Run(background, a.opts.Config.Auth.RevocationInterval) })
	running.Go(func() { a.sessions.Run(background) })
	running.Go(func() { a.history.Run(background) })
	running.Go(func() { a.once.Run(background) })
	running.Go(func() {
		a.lines.Run(background, func(l logstream.Line) {
			monitor.PublishLine(a.publishToMonitor, l)
			if a.exchange != nil {
				a.exchange.Share(l)
			}
		})
	})
	running.Go(func() {
		monitor.RunStats(background, a.opts.Config.Monitor.StatsInterval, a.publishStats, a.ownStats)
	})
	failed := make(chan error, len(a.addrs))
	for _, l := range a.addrs {
		running.Go(func() { failed <- a.serve(l) })
	}
	singing, silence := context.WithCancel(background)
	defer silence()
	if a.canary != nil {
		running.Go(func() { a.canary.Run(singing) })
	}
	a.ready.Store(true)
	a.log.Info("server is ready", "addresses", a.Addrs(), "version", Version)

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	silence()
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

// together does things at once, so that none waits for the clients of another.
func together(fns ...func() error) error {
	var all sync.WaitGroup
	errs := make([]error, len(fns))
	for i, fn := range fns {
		all.Go(func() { errs[i] = fn() })
	}
	all.Wait()
	return errors.Join(errs...)
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
	c := a.opts.Config.Server
	limit := c.ShutdownTimeout
	a.ready.Store(false)
	a.log.Info("server is stopping", "limit", limit)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	time.Sleep(c.DrainDelay) // at most half of the limit
	draining, cancelDraining := context.WithTimeout(ctx, limit*6/10-c.DrainDelay)
	defer cancelDraining()
	together(func() error {
		return a.socket.Drain(draining, socketio.DrainOptions{Window: c.DrainWindow, Busy: a.answering}) // else Close ends them
	}, func() error { return a.drainWebSockets(draining) })
	clients, cancelClients := context.WithTimeout(ctx, limit/5)
	defer cancelClients()
	errs := []error{together( // polls that wait are answered, and new ones refused
		func() error { return a.socket.Close(clients) },
		func() error { return a.closeWebSockets(clients) },
	)}
	if err := a.http.Shutdown(clients); errors.Is(err, context.DeadlineExceeded) {
		// Also when a client has opened a connection and never used it: that
		// counts as busy for five seconds.
		a.log.Warn("connections are cut that were not done in time")
	} else {
		errs = append(errs, err)
	}
	a.http.Close()
	if a.peers != nil {
		a.peers.Close(ctx)
	}
	if a.accounts != nil {
		errs = append(errs, a.accounts.Close(ctx))
	}
	errs = append(errs, a.chat.Close(ctx), a.journal.Close(ctx), a.closeTemporal(ctx), a.meetings.Close(ctx))
	a.bridge.Close()
	a.history.Close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// answering reports whether an answer of the assistant is under way to one of
// some rooms.
func (a *App) answering(namespace string, rooms []events.Room) bool {
	return namespace == root.Name && slices.ContainsFunc(rooms, func(r events.Room) bool { return a.chat.Answering(string(r)) })
}

// publishToMonitor must not log: what it logged would be published.
func (a *App) publishToMonitor(room events.Room, offset uint64, p events.Payload) {
	a.socket.Publish(monitor.Name, room, cluster.Position{Offset: offset}, p)
}

func (a *App) publishStats(room events.Room, p events.Payload) {
	a.socket.PublishVolatile(monitor.Name, room, p)
}

// Stats returns the numbers of now.
func (a *App) Stats() events.Stats {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	s := a.socket.Stats()
	return events.Stats{
		Instance: a.instance, Bus: a.busStats(),
		Connections: s.Connections, Sessions: s.Sessions, Rooms: s.Rooms, WebSockets: a.websockets(),
		Events:     events.EventStats{Received: s.Received, Published: s.Published, Delivered: s.Delivered, LogsDropped: a.lines.Dropped()},
		Memory:     events.MemoryStats{Heap: mem.HeapAlloc, Stack: mem.StackInuse, Total: mem.Sys},
		Goroutines: runtime.NumGoroutine(),
		Uptime:     int64(time.Since(a.started).Seconds()),
		Timestamp:  time.Now().UnixMilli(),
	}
}
