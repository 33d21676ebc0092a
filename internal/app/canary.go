package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/canary"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// canarySpace is the namespace of the canary, which nobody else can enter.
const canarySpace = "/canary"

// canaryTopic is of the notes on which canaries come back where broadcasts do
// not.
const canaryTopic = "canary"

// newCanary builds what finds out whether the server hears. There is none
// without WebSockets, which it speaks, and without an address that does without
// TLS: no certificate names the machine's own.
func (a *App) newCanary() {
	c := a.opts.Config
	if _, websocket := transports(c.Socket.Transports); !websocket || c.Health.Canary.Limit == 0 || len(c.Server.Addr) == 0 {
		return
	}
	header := http.Header{}
	if len(c.Server.AllowedHosts) > 0 {
		header.Set("Host", c.Server.AllowedHosts[0])
	}
	opts := canary.Options{
		URL: "http://" + reachable(a.addrs[0].Addr()) + c.Socket.Path, Header: header,
		Namespace: canarySpace, Secret: a.canarySecret, Limit: c.Health.Canary.Limit, Logger: a.log,
	}
	if a.bus != nil {
		opts.BusUp = func() (time.Time, bool) {
			s := a.bus.Status()
			return s.Since, s.Up
		}
	}
	a.canary = canary.New(opts)
}

// reachable is how this machine reaches an address that it listens on.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	if tcp.IP.To4() != nil {
		return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
	}
	return fmt.Sprintf("localhost:%d", tcp.Port) // whichever of its addresses answers
}

// canaryNamespace answers the canary.
func (a *App) canaryNamespace() socketio.Namespace {
	a.canarySecret = rand.Text()
	echo := canaryEcho{a}
	if a.bus != nil && !a.bus.Ordered() {
		a.bus.Listen(canaryTopic, echo.noted)
	}
	return socketio.Namespace{
		Namespace: namespaces.Namespace{Name: canarySpace, Local: a.bus == nil || !a.bus.Ordered()},
		Handler:   echo,
		Internal: func(handshake json.RawMessage) bool {
			var hello struct{ Secret string }
			return json.Unmarshal(handshake, &hello) == nil && subtle.ConstantTimeCompare([]byte(hello.Secret), []byte(a.canarySecret)) == 1
		},
	}
}

// canaryEcho sends canaries back: from here, and by way of the bus. An ordered
// bus delivers the server's own broadcasts to it too. On others they do not come
// back; the notes that it sends to itself do, on the same connection.
type canaryEcho struct{ app *App }

// canaryNote is a canary that comes back by a note.
type canaryNote struct {
	Session string          `json:"session"`
	Number  json.RawMessage `json:"number"`
}

// Handle implements [socketio.Handler].
func (c canaryEcho) Handle(_ context.Context, s *socketio.Session, e socketio.Event) socketio.Reply {
	if e.Name != canary.Event || len(e.Args) != 1 {
		return socketio.Reply{}
	}
	c.emit(c.to(s.ID()).Local(), canary.Listener, e.Args[0])
	bus := c.app.bus
	switch {
	case bus == nil || !bus.Status().Up: // what waited would take the place of what others need
	case bus.Ordered():
		c.emit(c.to(s.ID()), canary.Bus, e.Args[0])
	default:
		if data, err := json.Marshal(canaryNote{s.ID(), e.Args[0]}); err == nil {
			bus.Send(cluster.Note{Topic: canaryTopic, To: bus.Self(), Data: data})
		}
	}
	return socketio.Reply{}
}

func (c canaryEcho) noted(n cluster.Note) {
	var note canaryNote
	if json.Unmarshal(n.Data, &note) == nil {
		c.emit(c.to(note.Session).Local(), canary.Bus, note.Number)
	}
}

func (c canaryEcho) to(session string) socketio.Operator {
	return c.app.socket.In(canarySpace, session)
}

func (canaryEcho) emit(o socketio.Operator, way string, number json.RawMessage) {
	by, _ := json.Marshal(way)
	o.Emit(canary.Event, []json.RawMessage{by, append(json.RawMessage(nil), number...)}, nil)
}
