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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
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
	c.SetDeadline(time.Now().Add(2 * time.Minute))
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

// round publishes n times to members that read, and returns how long each
// publication took to each of them. They must get all of them, in order.
// before, unless it is nil, is called before each.
func (s *server) round(t *testing.T, n int, before func(i int)) []time.Duration {
	t.Helper()
	start := time.Now()
	latencies := make([][]time.Duration, members)
	var all sync.WaitGroup
	for m := range members {
		c := s.enter(t)
		latencies[m] = make([]time.Duration, 0, n)
		all.Go(func() {
			defer c.Close()
			for len(latencies[m]) < n {
				_, b, err := c.ReadMessage()
				if err != nil {
					t.Errorf("member %d after %d publications: %v", m, len(latencies[m]), err)
					return
				}
				var next, at int
				if k, _ := fmt.Sscanf(string(b), `42["e",{"n":%d,"at":%d,`, &next, &at); k == 0 {
					continue // a heartbeat
				}
				if next != len(latencies[m]) {
					t.Errorf("member %d got %d, want %d", m, next, len(latencies[m]))
					return
				}
				latencies[m] = append(latencies[m], time.Since(start)-time.Duration(at))
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
		s.server.PublishRaw("/", room, 0, "e", payload)
	}
	all.Wait()
	var together []time.Duration
	for _, l := range latencies {
		together = append(together, l...)
	}
	return together
}
