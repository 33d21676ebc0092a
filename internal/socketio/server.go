package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/namespaces"
)

// Options configure a [Server].
type Options struct {
	// Engine configures the transport. Its Open is set by the server.
	Engine engineio.Options
	// Namespaces are those that clients may enter.
	Namespaces []Namespace
	// Authenticate verifies a credential; the error, an *events.Error, is for
	// the client.
	Authenticate func(ctx context.Context, c auth.Credential) (*auth.Identity, error)
	// Outbound checks what is about to be emitted.
	Outbound func(namespace, event string, payload []byte) error
	Logger   *slog.Logger
	// ConnectTimeout bounds the time until a connection enters a namespace.
	// Default 45 s.
	ConnectTimeout time.Duration
	// QueueLen and QueueBytes bound what waits for a session's handlers.
	// Defaults 256 events and 1 MiB.
	QueueLen, QueueBytes int
	// Recovery lets clients that lose their connection go on where they were.
	Recovery RecoveryOptions
	// Bus carries what is published to the other servers; nil is none.
	Bus cluster.Bus
	// History has what rooms missed; nil is none.
	History History
	// Arrived is called with every numbered publication of another server,
	// after it has been delivered here. It must not block.
	Arrived func(namespace string, room events.Room)
	// MaxAttachments bounds the attachments of one packet together, in bytes.
	// Default twice what the engine takes as one message.
	MaxAttachments int
}

// A Namespace and what happens to the events of its sessions.
type Namespace struct {
	namespaces.Namespace
	Handler Handler
	// Internal makes it one that the server itself connects to, and nobody
	// else: it decides by the payload of the CONNECT packet who is that. For
	// others the namespace does not exist, and it is in no numbers.
	Internal func(handshake json.RawMessage) bool
}

// A Handler handles the events of a namespace: one at a time for each session,
// in the order in which its client sent them. What e holds is only valid
// during the call.
type Handler interface {
	Handle(ctx context.Context, s *Session, e Event) Reply
}

// An Event is what a client emitted.
type Event struct {
	Name string
	// Args are the arguments; of more than 64 the rest is left out.
	Args []json.RawMessage
	// Attachments are the binary values that placeholders in Args stand for.
	Attachments [][]byte
	WantsAck    bool
}

// A Reply is the acknowledgement of an event. It is not sent to clients that
// want none.
type Reply struct {
	Args        []json.RawMessage
	Attachments [][]byte
}

// A Dispatcher takes events to typed handlers; it is a [namespaces.Router].
type Dispatcher interface {
	// Dispatch returns the acknowledgement, one JSON value.
	Dispatch(ctx context.Context, s namespaces.Session, event string, args []json.RawMessage, wantsAck bool) []byte
}

// Routed returns the handler that dispatches events. Attachments become base64
// text where their placeholders stand.
func Routed(d Dispatcher) Handler { return routed{d} }

type routed struct{ Dispatcher }

func (r routed) Handle(ctx context.Context, s *Session, e Event) Reply {
	if e.Attachments != nil {
		for i := range e.Args {
			e.Args[i], _ = replacePlaceholders(e.Args[i], e.Attachments) // checked on arrival
		}
	}
	return Reply{Args: []json.RawMessage{r.Dispatch(ctx, s, e.Name, e.Args, e.WantsAck)}}
}

// A Server serves Socket.IO over HTTP. Its methods may be called concurrently.
type Server struct {
	opts   Options
	engine *engineio.Server
	seam   *boundEngine
	lib    *socket.Server
	spaces map[string]*space
	names  map[string]string // of the events that any namespace knows

	recovery *recovery
	requests requests

	// Counters since the server started.
	received, published, delivered      atomic.Int64
	resyncs, refetches, refetched, gaps atomic.Int64
}

// space is a namespace and who is in it.
type space struct {
	Namespace
	srv      *Server
	lib      socket.Namespace
	sessions registry
	rooms    *rooms.Table[member]
	recent   *recent
	interest *interest // nil if no bus carries the namespace
	paces    map[string]*pace
	serving  serving
	// wide is held while a broadcast to several rooms reaches their members.
	wide sync.Mutex
}

// New returns a Server. Nothing runs before [Server.Run].
func New(opts Options) *Server {
	if opts.ConnectTimeout <= 0 {
		opts.ConnectTimeout = 45 * time.Second
	}
	if opts.QueueLen <= 0 {
		opts.QueueLen = 256
	}
	if opts.QueueBytes <= 0 {
		opts.QueueBytes = 1 << 20
	}
	if opts.MaxAttachments <= 0 {
		opts.MaxAttachments = 2 * max(opts.Engine.MaxPayload, 1_000_000)
	}
	if opts.Recovery.MaxBytes <= 0 {
		opts.Recovery.MaxBytes = 32 << 20
	}
	s := &Server{opts: opts, spaces: make(map[string]*space), names: make(map[string]string), seam: newBoundEngine()}
	s.recovery = newRecovery(s)
	for _, ns := range opts.Namespaces {
		for _, r := range ns.Routes {
			s.names[r.Event] = r.Event
		}
		s.spaces[ns.Name] = newSpace(s, ns)
	}
	lib := socket.DefaultServerOptions()
	lib.SetServeClient(false)
	lib.SetConnectTimeout(opts.ConnectTimeout)
	lib.SetParser(parser{})
	lib.SetAdapter(adapters{s})
	s.lib = socket.NewServer(nil, lib)
	s.lib.Bind(s.seam)
	for name, sp := range s.spaces {
		sp.lib = s.lib.Of(name, nil)
		sp.lib.Use(sp.admit)
		sp.lib.On("connection", sp.joined)
	}
	opts.Engine.Open = s.open
	s.engine = engineio.NewServer(opts.Engine)
	s.joinCluster()
	return s
}

func newSpace(s *Server, ns Namespace) *space {
	sp := &space{Namespace: ns, srv: s, paces: paces(ns)}
	window := s.opts.Recovery.Window
	if ns.Restore == nil {
		window = 0
	}
	sp.recent = newRecent(window, s.opts.Recovery.MaxBytes, sp.shared() && s.opts.Bus.Ordered())
	table := rooms.Options[member]{Now: sp.recent.now}
	if sp.shared() {
		sp.interest = newInterest(
			func(room string) { s.opts.Bus.Enter(ns.Name, room) },
			func(room string) { s.opts.Bus.Exit(ns.Name, room) })
		table.Entered, table.Vacated = sp.interest.hold, sp.interest.release
	}
	if s.opts.History != nil {
		table.Missed = sp.missed
	}
	sp.rooms = rooms.New(table)
	return sp
}

// ServeHTTP answers the requests of the transport.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Run keeps connections alive, and forgets those that do not come back, until
// ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if s.opts.Recovery.Window > 0 {
		go s.sweep(ctx)
	}
	return s.engine.Run(ctx)
}

// Close ends all connections and waits until their handlers have returned and
// their sessions have been saved, or ctx ends.
func (s *Server) Close(ctx context.Context) error { return s.engine.Close(ctx) }

// Publish sends an event to every session in a room, on all servers. at numbers
// the publications of a room; zero is none. With an ordered bus it returns
// before the sessions of this server have the event.
func (s *Server) Publish(namespace string, room events.Room, at cluster.Position, p events.Payload) error {
	payload, err := s.encode(namespace, p)
	if err != nil {
		return err
	}
	return s.PublishRaw(namespace, room, at, p.EventName(), payload)
}

// PublishVolatile is Publish for what clients can do without: who cannot take
// it at once does not get it.
func (s *Server) PublishVolatile(namespace string, room events.Room, p events.Payload) error {
	payload, err := s.encode(namespace, p)
	if err != nil {
		return err
	}
	return s.In(namespace, string(room)).Volatile().Emit(p.EventName(), []json.RawMessage{payload}, nil)
}

// PublishRaw is Publish for a payload that has been encoded and checked.
func (s *Server) PublishRaw(namespace string, room events.Room, at cluster.Position, event string, payload json.RawMessage) error {
	o := s.In(namespace, string(room))
	o.position = at
	return o.Emit(event, []json.RawMessage{payload}, nil)
}

// encode makes the JSON of a payload and checks it against the contract.
func (s *Server) encode(namespace string, p events.Payload) (json.RawMessage, error) {
	payload, err := events.Encode(p)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", p.EventName(), err)
	}
	if err := s.opts.Outbound(namespace, p.EventName(), payload); err != nil {
		return nil, fmt.Errorf("emitting %s: %w", p.EventName(), err)
	}
	return payload, nil
}

// Stats are the numbers of a server. Those but the first three count since it
// was made.
type Stats struct {
	Connections, Sessions, Rooms   int
	Received, Published, Delivered int64
	// Resyncs is how often everything had to be looked after, Refetches how
	// often something was missing in a room, Refetched how many publications
	// were brought from the history then, and Gaps how often they were gone.
	Resyncs, Refetches, Refetched, Gaps int64
	Recovery                            RecoveryStats
}

// Stats returns the numbers of now.
func (s *Server) Stats() Stats {
	stats := Stats{
		Connections: s.engine.Len(),
		Received:    s.received.Load(),
		Published:   s.published.Load(),
		Delivered:   s.delivered.Load(),
		Resyncs:     s.resyncs.Load(),
		Refetches:   s.refetches.Load(),
		Refetched:   s.refetched.Load(),
		Gaps:        s.gaps.Load(),
		Recovery:    s.recovery.counts.stats(),
	}
	for _, sp := range s.spaces {
		if sp.Internal != nil {
			continue
		}
		stats.Sessions += sp.sessions.len()
		stats.Rooms += sp.rooms.Len()
	}
	return stats
}

// TransportStats returns the numbers of the transport.
func (s *Server) TransportStats() engineio.Stats { return s.engine.Stats() }
