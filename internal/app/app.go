// Package app builds the server from its parts, starts them in order and
// stops them in reverse. It is the only package that knows all the others.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/accounts"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/canary"
	"github.com/roomcast/roomcast/internal/certificate"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/chat/moderation"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/datasource"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/internal/instances"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/logstream"
	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/peers"
	"github.com/roomcast/roomcast/internal/publish"
	"github.com/roomcast/roomcast/internal/rawws"
	"github.com/roomcast/roomcast/internal/rest"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/external"
	"github.com/roomcast/roomcast/internal/workflow/journal"
	"github.com/roomcast/roomcast/namespaces"
	"github.com/roomcast/roomcast/namespaces/monitor"
	"github.com/roomcast/roomcast/namespaces/renewal"
	"github.com/roomcast/roomcast/namespaces/root"
)

// Version is the version of the program.
const Version = "0.1.0"

// Options are what an App is built from.
type Options struct {
	Config config.Config
	// Dev adds an issuer with a random secret, kept in the data folder, and
	// sample workflows; enforces the contract; and answers only to the names
	// of this machine.
	Dev bool
	// Log is where the log is written.
	Log io.Writer
	// Bus carries what is published to other servers; nil is none.
	Bus cluster.Bus
}

// An App is the whole server.
type App struct {
	opts    Options
	log     *slog.Logger
	lines   *logstream.Stream
	started time.Time
	issuer  *auth.Issuer // of development

	lock       *os.File
	db         *store.DB
	data       *datasource.Sources
	models     *models
	moderation *moderation.Client // nil if nobody judges
	instances  *instances.Service
	auth       *auth.Authenticator
	keys       *identity.Keys
	sessions   *identity.Live
	workflows  *workflow.Service
	journal    *journal.Engine
	external   *external.Engine
	temporal   clusterEngine // nil unless new runs go there
	feed       *workflow.Feed
	chat       *chat.Service
	accounts   *accounts.Service // nil unless the dialect action is spoken
	bridge     *bridge.Service
	listeners  *listener.Service
	history    *history.Service
	once       *once.Service
	publish    *publish.Service
	socket     *socketio.Server
	websocket  *rawws.Server // nil if no dialect is spoken
	meetings   *meet.Service
	bus        cluster.Bus // nil if this server is alone, as are peers
	peers      *peers.Service
	canary     *canary.Canary      // nil if there is none
	exchange   *logstream.Exchange // nil without a bus
	rest       *rest.API
	http       *http.Server
	addrs      []net.Listener

	revocations *identity.Revocations

	instance     events.Instance // how others know this one
	canarySecret string

	ready atomic.Bool
}

// New builds the parts. Nothing runs before Run, but addresses are bound and
// the database is open: Run must follow.
func New(ctx context.Context, opts Options) (*App, error) {
	a := &App{opts: opts, started: time.Now(), bus: opts.Bus, lines: logstream.New(opts.Config.Monitor.Lines)}
	a.log = slog.New(a.lines.Handler(logHandler(opts.Log, opts.Config.Log)))
	if err := a.build(ctx); err != nil {
		a.release()
		return nil, err
	}
	return a, nil
}

func logHandler(w io.Writer, c config.Log) slog.Handler {
	var level slog.Level
	level.UnmarshalText([]byte(c.Level)) // checked with the configuration
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.NewJSONHandler(w, o)
	}
	return slog.NewTextHandler(w, o)
}

func (a *App) build(ctx context.Context) error {
	var err error
	contract, err := a.newContract()
	if err != nil {
		return err
	}
	if a.opts.Config.Store.Driver == config.SQLite {
		if a.lock, err = lockData(a.opts.Config.Server.Data); err != nil {
			return err
		}
	}
	if a.db, err = openStore(ctx, a.opts.Config); err != nil {
		return err
	}
	if a.data, err = newDataSources(a.opts.Config.DataSources, a.log); err != nil {
		return err
	}
	if a.models, err = newModels(a.opts.Config.Chat.Models, a.log); err != nil {
		return err
	}
	if a.moderation, err = newModeration(a.opts.Config.Chat.Moderation); err != nil {
		return err
	}
	if err := a.newIdentity(ctx); err != nil {
		return err
	}
	out := &publisher{}
	if out.epoch, err = a.db.History().Epoch(ctx); err != nil {
		return fmt.Errorf("reading the epoch of histories: %w", err)
	}
	if err := a.newBus(); err != nil {
		return err
	}
	a.newInstances()
	if err := a.newServices(out, contract); err != nil {
		return err
	}
	if err := a.newAccounts(out); err != nil {
		return err
	}
	a.newSocket(contract)
	out.server = a.socket
	a.hearInstances()
	if a.opts.Dev {
		if err := addSamples(ctx, a.db.Workflows()); err != nil {
			return err
		}
	}
	if err := a.listen(); err != nil {
		return err
	}
	a.newCanary()
	handler, err := a.routes()
	if err != nil {
		return err
	}
	a.http = &http.Server{
		Handler:           deadlines(handler),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.http.RegisterOnShutdown(a.rest.Stop)
	return nil
}

func (a *App) newContract() (*asyncapi.Contract, error) {
	doc, err := asyncapi.SocketEvents()
	if err != nil {
		return nil, err
	}
	mode := asyncapi.Mode(a.opts.Config.Contract.Mode)
	if a.opts.Dev {
		mode = asyncapi.Enforce
	}
	return asyncapi.NewContract(doc, mode, a.log)
}

func (a *App) newServices(out *publisher, contract *asyncapi.Contract) error {
	c := a.opts.Config
	if err := a.newWorkflows(out, contract); err != nil {
		return err
	}
	a.bridge = bridge.NewService(bridge.Options{
		Runs: runs{a.workflows}, Widgets: a.db.Widgets(), AutoRegister: c.Widgets.AutoRegister, Epoch: out.epoch, Logger: a.log,
	})
	a.feed.Observe(func(u workflow.Update) { a.bridge.RunUpdated(widgetUpdate(u)) })
	a.feed.Observe(func(u workflow.Update) { out.runStatus(u, a.log) })
	a.feed.Observe(func(u workflow.Update) { out.runWaits(u, a.log) })
	a.feed.Observe(func(u workflow.Update) { out.runAnnounced(u, a.log) })
	a.chat = chat.NewService(chat.Options{
		Store: a.db.Chats(), Publisher: out, Logger: a.log,
		Assistant: a.newAssistant(), Tools: a.chatTools(), Timeout: c.Chat.Timeout, Waiting: c.Chat.Waiting, Holds: a.holds, Owner: a.instances.ID, Peers: a.chatPeers(), Announce: a.announceChats(),
		Refuse: c.Chat.Busy == config.Refuse, Turns: c.Chat.Turns, TurnsPerTenant: c.Chat.TurnsPerTenant, MaxMessage: int(c.Chat.MaxMessage),
		TokensPerDay: c.Chat.TokensPerDay, Estimate: estimator(c.Chat), Moderator: a.moderator(), AllowUnjudged: c.Chat.Moderation.OnError == config.Allow, LogPrompts: c.Chat.LogPrompts,
	})
	if a.peers != nil {
		a.peers.Handle(chat.StopMethod, a.chat.ServeStop)
		a.bus.Listen(noteChatChanged, func(n cluster.Note) { a.chat.Changed(n.Data) })
	}
	a.instances.OnLost(a.journal.Lost)
	a.instances.OnLost(a.chat.Lost)
	a.instances.OnSweep(a.chat.Recover)
	a.instances.OnSweep(a.journal.Resume)
	a.history = history.New(history.Options{
		Store: a.db.History(), Publisher: out, Epoch: out.epoch, Logger: a.log,
		Check:  func(event string, data []byte) error { return contract.Outbound("/", event, data) },
		Limits: history.Limits{Count: c.History.Count, Age: c.History.Age},
	})
	a.once = once.New(once.Options{
		Store: a.db.Once(), Logger: a.log, Keep: c.Once.Keep, Lease: onceLease(c.Socket.HandlerTimeout), Harmless: changedNothing,
	})
	a.publish = publish.New(publish.Options{
		Contract: contract, Rooms: roomOwners{a.db}, History: a.history, Live: out, Once: a.once, Logger: a.log,
		MaxBatch: c.Publish.MaxBatch, Wait: c.Socket.HandlerTimeout,
	})
	a.listeners = listener.NewService(a.db.Listeners(), a.history)
	a.newMeetings(out.epoch)
	return nil
}

func (a *App) newSocket(contract *asyncapi.Contract) {
	c := a.opts.Config.Socket
	spaces := []namespaces.Namespace{
		root.New(root.Services{Chat: a.chat, Workflows: a.workflows, Widgets: a.bridge, Listeners: a.listeners, History: a.history, Once: a.once}),
		monitor.New(a.lines, a.watchers()),
	}
	var served []socketio.Namespace
	for _, ns := range spaces {
		ns = renewal.Extend(ns, a.sessions)
		router := namespaces.NewRouter(ns, namespaces.RouterOptions{
			Contract: contract, Logger: a.log, Timeout: c.HandlerTimeout, Emitted: contract.Emitted,
		})
		served = append(served, socketio.Namespace{Namespace: ns, Handler: socketio.Routed(router)})
		if ns.Name == root.Name {
			a.newWebSocket(ns, router)
		}
	}
	served = append(served, a.canaryNamespace(), meetNamespace)
	polling, websocket := transports(c.Transports)
	a.socket = socketio.New(socketio.Options{
		Engine: engineio.Options{
			PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, UpgradeTimeout: c.UpgradeTimeout,
			MaxPayload: int(c.MaxPayload), SendLimit: int(c.SendLimit), AllowEIO3: c.AllowEIO3, Compress: c.Compression,
			DisablePolling: !polling, DisableWebSocket: !websocket, Origin: a.guard().socketOrigin,
		},
		Namespaces:     served,
		Authenticate:   a.auth.Authenticate,
		Outbound:       contract.Outbound,
		Logger:         a.log,
		ConnectTimeout: c.ConnectTimeout,
		QueueLen:       c.QueueLength,
		QueueBytes:     int(c.QueueBytes),
		Recovery:       socketio.RecoveryOptions{Window: c.Recovery.Window, MaxBytes: int(c.Recovery.MaxBytes)},
		Bus:            a.bus,
		History:        roomHistory{repair{a.workflows, a.chat, a.history}, a.meetings, a.log},
		Arrived:        a.arrived,
	})
}

func transports(names []string) (polling, websocket bool) {
	for _, n := range names {
		polling = polling || n == "polling"
		websocket = websocket || n == "websocket"
	}
	return polling, websocket
}

func (a *App) listen() error {
	c := a.opts.Config.Server
	for _, addr := range c.Addr {
		if err := a.listenOn("server.addr", addr, nil); err != nil {
			return err
		}
	}
	if len(c.TLS.Addr) == 0 {
		return nil
	}
	cert, err := certificate.Open(certificate.Options{CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile, Logger: a.log})
	if err != nil {
		return fmt.Errorf("server.tls: %w", err)
	}
	for _, addr := range c.TLS.Addr {
		if err := a.listenOn("server.tls.addr", addr, cert.Config()); err != nil {
			return err
		}
	}
	return nil
}

// listenOn binds an address; with a configuration it speaks TLS there.
func (a *App) listenOn(setting, addr string, secure *tls.Config) error {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: something else listens on %s already: choose another address", setting, addr)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	a.addrs = append(a.addrs, l)
	return nil
}

// Addrs returns the addresses that the server listens on, those with TLS last.
func (a *App) Addrs() []string {
	var addrs []string
	for _, l := range a.addrs {
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// release gives back what New took, when Run does not follow.
func (a *App) release() {
	for _, l := range a.addrs {
		l.Close()
	}
	a.closeData()
}

// closeData closes the databases and lets others have the data folder.
func (a *App) closeData() {
	if a.data != nil {
		a.data.Close()
	}
	if a.models != nil {
		a.models.Close()
	}
	if a.moderation != nil {
		a.moderation.Close()
	}
	if a.db != nil {
		a.db.Close()
	}
	if a.lock != nil {
		a.lock.Close()
	}
}
