// Package link connects to servers as the clients of Engine.IO 4 do: over
// WebSocket or HTTP long-polling, without the upgrade between them. What the
// packets mean is its users' business.
package link

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A Link is one connection: packets of Engine.IO in both directions. One
// goroutine uses it, except for Cut.
type Link interface {
	// Next returns the next packet, which is valid until the following call.
	Next() ([]byte, error)
	Send(packet []byte) error
	// Until sets when Next gives up.
	Until(t time.Time)
	// Cut ends the connection as a network that fails: without a word.
	Cut()
}

// DialTimeout is how long the stock client waits until a connection is open.
const DialTimeout = 20 * time.Second

// Dial opens a connection to a server, whose address may have a path before
// /socket.io/. The server's first packet has not been read.
func Dial(ctx context.Context, url string, polling bool) (Link, error) {
	address := strings.TrimSuffix(url, "/") + "/socket.io/?EIO=4&transport="
	if polling {
		return newPollLink(ctx, address+"polling"), nil
	}
	opening, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	ws, _, err := websocket.Dial(opening, address+"websocket", nil)
	if err != nil {
		return nil, err
	}
	return socketLink{ws}, nil
}

// socketLink is a link over WebSocket.
type socketLink struct{ ws *websocket.Client }

func (l socketLink) Next() ([]byte, error) {
	for {
		op, b, err := l.ws.ReadMessage()
		if err != nil || op == websocket.OpText {
			return b, err
		}
	}
}

func (l socketLink) Send(packet []byte) error { return l.ws.WriteMessage(websocket.OpText, packet) }
func (l socketLink) Until(t time.Time)        { l.ws.SetReadDeadline(t) }
func (l socketLink) Cut()                     { l.ws.Abort() }

// reset closes a connection with RST, so that what is under way is gone.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// pollLink is a link over HTTP long-polling.
type pollLink struct {
	ctx     context.Context
	cancel  context.CancelFunc
	http    *http.Client
	url     string
	opened  bool
	end     time.Time
	waiting []byte // packets of the last answer that Next has not returned

	mu    sync.Mutex
	conns []net.Conn
}

func newPollLink(ctx context.Context, url string) *pollLink {
	l := &pollLink{url: url, end: time.Now().Add(DialTimeout)}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.http = &http.Client{Transport: &http.Transport{DialContext: l.dial, MaxIdleConnsPerHost: 2}}
	return l
}

// dial keeps what it opens, to cut it.
func (l *pollLink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
	return c, nil
}

func (l *pollLink) Next() ([]byte, error) {
	for {
		if len(l.waiting) > 0 {
			packet, rest, _ := bytes.Cut(l.waiting, []byte{'\x1e'})
			l.waiting = rest
			return packet, nil
		}
		ctx, cancel := context.WithDeadline(l.ctx, l.end)
		body, err := l.do(ctx, http.MethodGet, nil)
		cancel()
		if err != nil {
			return nil, err
		}
		if !l.opened {
			if err := l.open(body); err != nil {
				return nil, err
			}
		}
		l.waiting = body
	}
}

// open takes the session's id out of the first answer.
func (l *pollLink) open(body []byte) error {
	var hello struct{ SID string }
	if len(body) == 0 || json.Unmarshal(body[1:], &hello) != nil || hello.SID == "" {
		return fmt.Errorf("polling: handshake %.100q", body)
	}
	l.url += "&sid=" + hello.SID
	l.opened = true
	return nil
}

func (l *pollLink) Send(packet []byte) error {
	ctx, cancel := context.WithTimeout(l.ctx, DialTimeout)
	defer cancel()
	_, err := l.do(ctx, http.MethodPost, bytes.NewReader(packet))
	return err
}

func (l *pollLink) do(ctx context.Context, method string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, l.url, body)
	if err != nil {
		return nil, err
	}
	res, err := l.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("polling: %s: %.200s", res.Status, b)
	}
	return b, err
}

func (l *pollLink) Until(t time.Time) { l.end = t }

func (l *pollLink) Cut() {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		reset(c)
	}
	l.conns = nil
}
