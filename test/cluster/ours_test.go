package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/redis"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// ours is a server of this program, which carries out the commands that
// test/peer/cluster.mjs does.
type ours struct {
	name string
	srv  *socketio.Server
	bus  *redis.Bus

	mu    sync.Mutex
	heard [][]any
}

// startOurs starts a server of this program. It ends with the test.
func startOurs(t *testing.T, name, adapter, redisURL string) *server {
	t.Helper()
	bus, err := redis.New(redis.Options{
		URL: redisURL, Adapter: adapter, Prefix: "socket.io", Stream: redis.Stream{Name: "socket.io", MaxLen: 10_000, Count: 1},
		Timeout: 5 * time.Second, DialTimeout: 5 * time.Second, MaxWait: time.Second,
		QueueLength: 10_000, QueueBytes: 16 << 20, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	o := &ours{name: name, bus: bus}
	opts := socketio.Options{
		Logger: slog.New(slog.DiscardHandler), Bus: bus,
		Authenticate: func(context.Context, auth.Credential) (*auth.Identity, error) {
			return &auth.Identity{User: "anybody"}, nil
		},
		Outbound: func(string, string, []byte) error { return nil },
	}
	for _, ns := range []string{"/", "/custom"} {
		opts.Namespaces = append(opts.Namespaces, socketio.Namespace{Namespace: namespaces.Namespace{Name: ns}, Handler: o})
	}
	o.srv = socketio.New(opts)
	for _, ns := range []string{"/", "/custom"} {
		o.srv.OnServerSideEmit(ns, "side", func(args []json.RawMessage) json.RawMessage {
			o.hear(ns, args)
			return nil
		})
		o.srv.OnServerSideEmit(ns, "side:ask", func([]json.RawMessage) json.RawMessage { return mustJSON(o.name) })
	}
	listening := httptest.NewServer(o.srv)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { o.srv.Run(ctx) })
	running.Go(func() { bus.Run(ctx) })
	t.Cleanup(func() {
		closing, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := o.srv.Close(closing); err != nil {
			t.Errorf("closing %s: %v", name, err)
		}
		listening.Close()
		stop()
		running.Wait()
	})
	return &server{doer: o, name: name, url: listening.URL, ours: true}
}

// Handle implements [socketio.Handler]: join is the one event.
func (o *ours) Handle(_ context.Context, s *socketio.Session, e socketio.Event) socketio.Reply {
	var rooms []events.Room
	if e.Name != "join" || len(e.Args) == 0 || json.Unmarshal(e.Args[0], &rooms) != nil {
		return socketio.Reply{}
	}
	for _, room := range rooms {
		s.Join(room)
	}
	return socketio.Reply{Args: []json.RawMessage{json.RawMessage(`{"ok":true}`)}}
}

func (o *ours) hear(ns string, args []json.RawMessage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	heard := []any{ns}
	for _, a := range args {
		heard = append(heard, append(json.RawMessage(nil), a...))
	}
	o.heard = append(o.heard, heard)
}

func (o *ours) do(ctx context.Context, c command) (json.RawMessage, error) {
	result, err := o.carryOut(ctx, c)
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// outcome is what comes of asking for acknowledgements.
type outcome struct {
	Late bool              `json:"late"`
	Acks []json.RawMessage `json:"acks"`
}

func (o *ours) carryOut(ctx context.Context, c command) (any, error) {
	if c.NS == "" {
		c.NS = "/"
	}
	args, attachments, err := encode(c.Args)
	if err != nil {
		return nil, err
	}
	to := o.srv.In(c.NS, c.Rooms...).Except(c.Except...)
	if c.Local {
		to = to.Local()
	}
	if c.Volatile {
		to = to.Volatile()
	}
	switch c.Op {
	case "emit":
		return nil, to.Emit(c.Event, args, attachments)
	case "ask":
		acks, err := to.EmitWithAck(ctx, time.Duration(c.Timeout)*time.Millisecond, c.Event, args)
		return outcome{errors.Is(err, socketio.ErrTimeout), values(acks)}, nil
	case "fetch":
		sockets, err := to.Sockets(ctx)
		return described(sockets), err
	case "join":
		return nil, to.Join(c.Names...)
	case "leave":
		return nil, to.Leave(c.Names...)
	case "disconnect":
		return nil, to.Disconnect(c.Close)
	case "side":
		return nil, o.srv.ServerSideEmit(c.NS, c.Event, args)
	case "sideAsk":
		acks, err := o.srv.ServerSideEmitWithAck(ctx, c.NS, c.Event, args)
		return outcome{err != nil, acks}, nil
	case "heard":
		o.mu.Lock()
		defer o.mu.Unlock()
		heard := append([][]any{}, o.heard...)
		o.heard = nil
		return heard, nil
	case "servers":
		return o.bus.Servers(ctx, c.NS)
	}
	return nil, fmt.Errorf("%s is not an operation of ours", c.Op)
}

// values are acknowledgements with their binary values in place, as the servers
// on Node report them.
func values(acks []socketio.Ack) []json.RawMessage {
	all := []json.RawMessage{}
	for _, a := range acks {
		var v any
		_ = json.Unmarshal(a.Value, &v) // what does not decode fails the test
		raw, _ := json.Marshal(insert(v, a.Attachments))
		all = append(all, raw)
	}
	return all
}

func insert(v any, attachments [][]byte) any {
	switch v := v.(type) {
	case map[string]any:
		if n, ok := v["num"].(float64); ok && v["_placeholder"] == true && int(n) < len(attachments) {
			return map[string]any{"$bin": attachments[int(n)]}
		}
		for k, e := range v {
			v[k] = insert(e, attachments)
		}
	case []any:
		for i, e := range v {
			v[i] = insert(e, attachments)
		}
	}
	return v
}

// socket is what a server says of one.
type socket struct {
	ID    string          `json:"id"`
	Rooms []string        `json:"rooms"`
	Data  json.RawMessage `json:"data"`
	Auth  json.RawMessage `json:"auth"`
}

func described(sockets []cluster.Socket) (all []socket) {
	for _, s := range sockets {
		var handshake struct{ Auth json.RawMessage }
		_ = json.Unmarshal(s.Handshake, &handshake) // what is missing fails the test
		all = append(all, socket{s.ID, s.Rooms, s.Data, handshake.Auth})
	}
	return all
}

// encode takes the binary values out of arguments.
func encode(args []any) (encoded []json.RawMessage, attachments [][]byte, err error) {
	for _, arg := range args {
		raw, err := json.Marshal(extract(arg, &attachments))
		if err != nil {
			return nil, nil, err
		}
		encoded = append(encoded, raw)
	}
	return encoded, attachments, nil
}

func extract(v any, into *[][]byte) any {
	switch v := v.(type) {
	case binary:
		*into = append(*into, v.Data)
		return map[string]any{"_placeholder": true, "num": len(*into) - 1}
	case []any:
		all := []any{}
		for _, e := range v {
			all = append(all, extract(e, into))
		}
		return all
	case map[string]any:
		all := map[string]any{}
		for k, e := range v {
			all[k] = extract(e, into)
		}
		return all
	}
	return v
}
