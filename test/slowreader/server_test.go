package slowreader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/internal/telemetry"
	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/namespaces"
)

// server is a Socket.IO server that puts everybody into one room, and its
// metrics.
type server struct {
	server *socketio.Server
	url    string
}

const room = "room"

func serve(t *testing.T) *server {
	t.Helper()
	sio := socketio.New(socketio.Options{
		Engine: engineio.Options{SendLimit: sendLimit},
		Namespaces: []socketio.Namespace{{Namespace: namespaces.Namespace{
			Name:   "/",
			Opened: func(_ context.Context, s namespaces.Session) { s.Join(room) },
		}, Handler: ready{}}},
		Authenticate: func(context.Context, auth.Credential) (*auth.Identity, error) { return &auth.Identity{}, nil },
		Outbound:     func(string, string, []byte) error { return nil },
		Logger:       slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { sio.Run(ctx) })
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", sio)
	mux.Handle("/metrics", telemetry.Handler(telemetry.Sources{
		Sessions: sio.Stats, Transport: sio.TransportStats, LogsLost: func() int64 { return 0 },
	}))
	hs := httptest.NewUnstartedServer(mux)
	// What the kernel keeps is not bounded by the server; here it is little,
	// so that what the server keeps fills soon.
	hs.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(128 << 10)
		return ctx
	}
	hs.Start()
	t.Cleanup(func() {
		sio.Close(context.Background())
		hs.Close()
		cancel()
		running.Wait()
	})
	return &server{sio, hs.URL}
}

// ready acknowledges whatever a client says: then it is in the room.
type ready struct{}

func (ready) Handle(context.Context, *socketio.Session, socketio.Event) socketio.Reply {
	return socketio.Reply{}
}

type client struct{ *websocket.Client }

// enter returns a client that is in the room.
func (s *server) enter(t *testing.T) *client {
	t.Helper()
	ws, _, err := websocket.Dial(t.Context(), s.url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{ws}
	c.SetDeadline(time.Now().Add(5 * time.Minute))
	for _, step := range []struct{ send, answer string }{{"40", "40"}, {`420["ready"]`, "430"}} {
		if err := c.WriteMessage(websocket.OpText, []byte(step.send)); err != nil {
			t.Fatal(err)
		}
		for answer := ""; !strings.HasPrefix(answer, step.answer); {
			_, b, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			answer = string(b)
		}
	}
	return c
}

// closed reads what there is and returns how the server closed.
func (c *client) closed() *websocket.CloseError {
	defer c.Close()
	for {
		_, _, err := c.ReadMessage()
		var e *websocket.CloseError
		if errors.As(err, &e) {
			return e
		}
		if err != nil {
			return nil
		}
	}
}

// publication is what is published: a number, the time and padding.
type publication struct {
	N   int    `json:"n"`
	At  int64  `json:"at"` // nanoseconds since the round began
	Pad string `json:"pad"`
}

// group is who reads in the room.
type group struct {
	s       *server
	clients []*client
}

func (s *server) gather(t *testing.T) *group {
	t.Helper()
	g := &group{s: s}
	for range members {
		g.clients = append(g.clients, s.enter(t))
	}
	t.Cleanup(func() {
		for _, c := range g.clients {
			c.Close()
		}
	})
	return g
}

// round publishes n times and returns how long each publication took to each
// of the group. All get all of them, in order. before, unless it is nil, is
// called before each.
func (g *group) round(t *testing.T, n int, before func(i int)) []time.Duration {
	t.Helper()
	start := time.Now()
	latencies := make([][]time.Duration, members)
	var all sync.WaitGroup
	for i, c := range g.clients {
		all.Go(func() {
			var err error
			if latencies[i], err = c.take(n, start); err != nil {
				t.Errorf("member %d after %d publications: %v", i, len(latencies[i]), err)
			}
		})
	}
	pad := strings.Repeat("x", size)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		if before != nil {
			before(i)
		}
		payload, err := json.Marshal(publication{i, int64(time.Since(start)), pad})
		if err != nil {
			t.Fatal(err)
		}
		g.s.server.PublishRaw("/", room, cluster.Position{}, "e", payload)
	}
	all.Wait()
	return slices.Concat(latencies...)
}

// take reads n publications and returns how long each was on its way.
func (c *client) take(n int, start time.Time) (latencies []time.Duration, err error) {
	for len(latencies) < n {
		_, b, err := c.ReadMessage()
		if err != nil {
			return latencies, err
		}
		if string(b) == "2" {
			c.WriteMessage(websocket.OpText, []byte("3"))
			continue
		}
		var next, at int
		if _, err := fmt.Sscanf(string(b), `42["e",{"n":%d,"at":%d,`, &next, &at); err != nil || next != len(latencies) {
			return latencies, fmt.Errorf("got %.40q", b)
		}
		latencies = append(latencies, time.Since(start)-time.Duration(at))
	}
	return latencies, nil
}
