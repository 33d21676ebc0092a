package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
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
	// MaxAttachments bounds the attachments of one packet together, in bytes.
	// Default twice what the engine takes as one message.
	MaxAttachments int
}

// A Namespace and what happens to the events of its sessions.
type Namespace struct {
	namespaces.Namespace
	Handler Handler
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

	// Counters since the server started.
	received, published, delivered atomic.Int64
}

// space is a namespace and who is in it.
type space struct {
	Namespace
	srv      *Server
	lib      socket.Namespace
	sessions registry
	rooms    *rooms.Table[*Session]
	paces    map[string]*pace
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
	s := &Server{opts: opts, spaces: make(map[string]*space), names: make(map[string]string), seam: newBoundEngine()}
	for _, ns := range opts.Namespaces {
		for _, r := range ns.Routes {
			s.names[r.Event] = r.Event
		}
		s.spaces[ns.Name] = &space{Namespace: ns, srv: s, rooms: rooms.New[*Session](), paces: paces(ns)}
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
	return s
}

// ServeHTTP answers the requests of the transport.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.engine.ServeHTTP(w, r) }

// Run keeps connections alive until ctx ends.
func (s *Server) Run(ctx context.Context) error { return s.engine.Run(ctx) }

// Close ends all connections and waits until their handlers have returned, or
// ctx ends.
func (s *Server) Close(ctx context.Context) error { return s.engine.Close(ctx) }

// Publish sends an event to every session in a room. pos is where it stands
// among the publications of the room, zero if they are not numbered.
func (s *Server) Publish(namespace string, room events.Room, pos cluster.Position, p events.Payload) error {
	return s.publish(namespace, room, pos, p, (*Session).deliver)
}

// PublishVolatile is Publish for what clients can do without: who cannot take
// it at once does not get it.
func (s *Server) PublishVolatile(namespace string, room events.Room, p events.Payload) error {
	return s.publish(namespace, room, cluster.Position{}, p, (*Session).deliverVolatile)
}

func (s *Server) publish(namespace string, room events.Room, pos cluster.Position, p events.Payload, deliver func(*Session, engineio.Frame)) error {
	sp := s.spaces[namespace]
	if sp == nil {
		return fmt.Errorf("publishing to %s: no such namespace", namespace)
	}
	payload, err := s.encode(namespace, p)
	if err != nil {
		return err
	}
	frame := s.frame(namespace, p.EventName(), payload)
	sp.rooms.Publish(string(room), pos.Offset, func(m *Session) { deliver(m, frame) })
	return nil
}

// PublishRaw is Publish for a payload that has been encoded and checked.
func (s *Server) PublishRaw(namespace string, room events.Room, pos cluster.Position, event string, payload json.RawMessage) {
	frame := s.frame(namespace, event, payload)
	s.spaces[namespace].rooms.Publish(string(room), pos.Offset, func(m *Session) { m.deliver(frame) })
}

// frame encodes a publication once for everybody who gets it.
func (s *Server) frame(namespace, event string, payload json.RawMessage) engineio.Frame {
	s.published.Add(1)
	return engineio.TextFrame(appendEvent(nil, namespace, event, []json.RawMessage{payload}, 0))
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

// Stats are the numbers of a server. The last three count since it was made.
type Stats struct {
	Connections, Sessions, Rooms   int
	Received, Published, Delivered int64
}

// Stats returns the numbers of now.
func (s *Server) Stats() Stats {
	stats := Stats{
		Connections: s.engine.Len(),
		Received:    s.received.Load(),
		Published:   s.published.Load(),
		Delivered:   s.delivered.Load(),
	}
	for _, sp := range s.spaces {
		stats.Sessions += sp.sessions.len()
		stats.Rooms += sp.rooms.Len()
	}
	return stats
}

// TransportStats returns the numbers of the transport.
func (s *Server) TransportStats() engineio.Stats { return s.engine.Stats() }
