package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/roomcast/roomcast/asyncapi"
	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// bench.yaml describes the one event that load tests measure through the
// whole path.
//
//go:embed bench.yaml
var benchContract []byte

// newSocketIO returns the server of the namespaces / and /custom.
func newSocketIO(o options, bus cluster.Bus, logger *slog.Logger) (*socketio.Server, error) {
	doc, err := asyncapi.Parse(benchContract)
	if err != nil {
		return nil, err
	}
	contract, err := asyncapi.NewContract(doc, asyncapi.Mode(o.contract), logger)
	if err != nil {
		return nil, err
	}
	h := &handler{}
	routes := []namespaces.Route{namespaces.Handle("bench:echo", benchEcho)}
	h.router = namespaces.NewRouter(namespaces.Namespace{Name: "/", Routes: routes}, namespaces.RouterOptions{Contract: contract, Logger: logger})
	opts := socketio.Options{
		Engine: o.engine(),
		Logger: logger,
		Bus:    bus,
		Authenticate: func(context.Context, auth.Credential) (*auth.Identity, error) {
			return &auth.Identity{User: "anybody"}, nil
		},
		Outbound: func(string, string, []byte) error { return nil },
	}
	if !o.load {
		opts.ConnectTimeout = time.Second
	}
	if o.recovery {
		opts.Recovery.Window = 2 * time.Minute
	}
	for _, name := range []string{"/", "/custom"} {
		ns := namespaces.Namespace{Name: name, Routes: append(routes, namespaces.Route{Event: "bench:publish"})}
		if !o.load {
			ns.Opened = sendAuth
		}
		if o.recovery {
			ns.MayStay = func(context.Context, *auth.Identity, events.Room) (bool, error) { return true, nil }
			ns.Restore = func(context.Context, namespaces.Session, json.RawMessage) {} // it keeps nothing
		}
		opts.Namespaces = append(opts.Namespaces, socketio.Namespace{Namespace: ns, Handler: h})
	}
	h.server = socketio.New(opts)
	return h.server, nil
}

// sendAuth sends back what a client said when it entered.
func sendAuth(_ context.Context, s namespaces.Session) {
	raw := s.(*socketio.Session)
	payload := raw.Handshake()
	if payload == nil {
		payload = json.RawMessage("{}")
	}
	raw.EmitRaw("auth", []json.RawMessage{payload}, nil)
}

// handler answers the events of the suites and of load tests.
type handler struct {
	server *socketio.Server
	router *namespaces.Router
}

func (h *handler) Handle(ctx context.Context, s *socketio.Session, e socketio.Event) socketio.Reply {
	switch e.Name {
	case "message":
		s.EmitRaw("message-back", e.Args, e.Attachments)
	case "message-with-ack":
		return socketio.Reply{Args: e.Args, Attachments: e.Attachments}
	case "bench:join":
		var room string
		json.Unmarshal(e.Args[0], &room)
		s.Join(events.Room(room))
	case "bench:publish":
		h.publish(e.Args[0])
	default:
		return socketio.Reply{Args: []json.RawMessage{h.router.Dispatch(ctx, s, e.Name, e.Args, e.WantsAck)}}
	}
	return socketio.Reply{}
}

// publish publishes to a room as often as it is told to.
func (h *handler) publish(arg json.RawMessage) {
	var p struct {
		Room    events.Room
		Count   int
		Event   string
		Payload json.RawMessage
	}
	if json.Unmarshal(arg, &p) != nil {
		return
	}
	for range max(p.Count, 1) {
		h.server.PublishRaw("/", p.Room, cluster.Position{}, p.Event, p.Payload)
	}
}

// echoed is the payload of bench:echo: about 200 bytes of what applications
// send.
type echoed struct {
	ID     string   `json:"id"`
	Seq    int      `json:"seq"`
	Text   string   `json:"text"`
	Tags   []string `json:"tags"`
	Urgent bool     `json:"urgent"`
}

type echoAck struct {
	ID  string `json:"id"`
	Seq int    `json:"seq"`
}

func benchEcho(_ context.Context, _ namespaces.Session, in echoed) (echoAck, error) {
	return echoAck{in.ID, in.Seq}, nil
}
