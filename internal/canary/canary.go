// Package canary finds out whether a server hears and is heard.
//
// A server can be deaf without knowing: its listener takes nothing in, or
// nothing reaches it from the other servers although the connection to them
// stands. So it is its own client: it connects to itself as clients do, and
// says a number again and again, which it must get back in order: by way of
// its sessions and rooms, and if it is one of several by way of what connects
// them. What it does not get back is the answer.
package canary

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// The ways on which a canary comes back.
const (
	Listener = "listener" // from the server's own sessions
	Bus      = "bus"      // from what connects the servers
)

// Options configure a [Canary].
type Options struct {
	// URL is the Socket.IO endpoint of this server, as it reaches itself, and
	// Header what requests carry besides.
	URL    string
	Header http.Header
	// Namespace is the namespace that answers [Event] with one [Event] for
	// each way, whose arguments are the way and the number.
	Namespace string
	// Secret is the payload of CONNECT that it asks for, as {"secret": …}.
	Secret string
	// Limit is how long the server may hear nothing. Ten canaries are sent
	// within it.
	Limit time.Duration
	// BusUp returns since when the servers are connected; false is not at all.
	// nil is for a server that is alone.
	BusUp  func() (since time.Time, up bool)
	Logger *slog.Logger
}

// Event is the name of the event.
const Event = "canary"

// A Canary is one server's. Its methods may be called concurrently.
type Canary struct {
	opts  Options
	began time.Time

	mu       sync.Mutex
	n        uint64
	why      string // the latest connection could not be made
	deaf     string // what was logged
	listener way
	bus      way
}

// New returns a Canary. Nothing is sent before [Canary.Run].
func New(opts Options) *Canary {
	return &Canary{opts: opts, began: time.Now(), listener: newWay(), bus: newWay()}
}

// Run sends until ctx ends.
func (c *Canary) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(ctx) })
	defer watching.Wait()
	for ctx.Err() == nil {
		err := c.live(ctx)
		c.mu.Lock()
		c.why = err.Error()
		c.mu.Unlock()
		pause(ctx, c.opts.Limit/20)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// live connects, and sends and hears until something fails.
func (c *Canary) live(ctx context.Context) error {
	dialing, cancel := context.WithTimeout(ctx, c.opts.Limit)
	defer cancel()
	conn, _, err := websocket.Dial(dialing, c.opts.URL+"?EIO=4&transport=websocket", c.opts.Header)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	hello, err := json.Marshal(map[string]string{"secret": c.opts.Secret})
	if err != nil {
		return err
	}
	if err := c.enter(conn, hello); err != nil {
		return fmt.Errorf("entering: %w", err)
	}
	over := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { c.send(conn, over) })
	err = c.hear(conn)
	close(over)
	conn.Close()
	sending.Wait()
	return fmt.Errorf("listening: %w", err)
}

// read returns the next packet that is no ping.
func (c *Canary) read(conn *websocket.Client) (string, error) {
	for {
		conn.SetReadDeadline(time.Now().Add(c.opts.Limit))
		_, b, err := conn.ReadMessage()
		if err != nil {
			return "", err
		}
		if string(b) != "2" {
			return string(b), nil
		}
		if err := conn.WriteMessage(websocket.OpText, []byte("3")); err != nil {
			return "", err
		}
	}
}

func (c *Canary) enter(conn *websocket.Client, hello []byte) error {
	if _, err := c.read(conn); err != nil { // the open packet
		return err
	}
	if err := conn.WriteMessage(websocket.OpText, append([]byte("40"+c.opts.Namespace+","), hello...)); err != nil {
		return err
	}
	answer, err := c.read(conn)
	if err == nil && !strings.HasPrefix(answer, "40") {
		err = fmt.Errorf("answered %s", answer)
	}
	return err
}

// send sends a canary now and then, until over is closed. What cannot be
// written is noticed by who reads.
func (c *Canary) send(conn *websocket.Client, over chan struct{}) {
	tick := time.NewTicker(c.opts.Limit / 10)
	defer tick.Stop()
	for {
		conn.SetWriteDeadline(time.Now().Add(c.opts.Limit))
		conn.WriteMessage(websocket.OpText, fmt.Appendf(nil, `42%s,["%s",%d]`, c.opts.Namespace, Event, c.next()))
		select {
		case <-tick.C:
		case <-over:
			return
		}
	}
}

// hear takes in canaries that come back.
func (c *Canary) hear(conn *websocket.Client) error {
	prefix := "42" + c.opts.Namespace + ","
	for {
		packet, err := c.read(conn)
		if err != nil {
			return err
		}
		var event, by string
		var n uint64
		args := []any{&event, &by, &n}
		text, ok := strings.CutPrefix(packet, prefix)
		if !ok || json.Unmarshal([]byte(text), &args) != nil || event != Event {
			return fmt.Errorf("got %.100s", packet)
		}
		c.heard(by, n)
	}
}
