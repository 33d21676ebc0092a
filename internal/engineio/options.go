package engineio

import (
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// Options configure a [Server]. The zero value of a field means its default.
type Options struct {
	// PingInterval is the time between heartbeats, PingTimeout how long a
	// client may then be silent. Defaults 25 s and 20 s. Both are kept a
	// little early, by at most a tenth of the shorter one, never late.
	PingInterval, PingTimeout time.Duration
	// UpgradeTimeout bounds an upgrade, from the WebSocket handshake to the
	// client's last word. Default 10 s.
	UpgradeTimeout time.Duration
	// MaxPayload bounds one message, and one POST, in bytes. Default 1,000,000.
	MaxPayload int
	// SendLimit bounds what is kept for a client that does not fetch it, in
	// bytes. Default 1 MiB.
	SendLimit int
	// DisablePolling and DisableWebSocket take a transport away.
	DisablePolling, DisableWebSocket bool
	// AllowEIO3 admits clients of protocol 3: socket.io-client 1.x and 2.x.
	AllowEIO3 bool
	// Cookie, when set, is sent with the handshake; its value is the
	// connection's id.
	Cookie *http.Cookie
	// Origin reports whether a page of this origin may use the server. It
	// sets the CORS headers and refuses WebSockets; nil allows every origin
	// without credentials.
	Origin func(origin string, r *http.Request) bool
	// Allow may refuse a handshake; the client gets 403 and the error's text.
	Allow func(r *http.Request) error
	// InitialHeaders may add headers to the answer of a handshake, Headers
	// to every answer.
	InitialHeaders, Headers func(h http.Header, r *http.Request)
	// Open returns the session of a new connection. It is called before the
	// client knows that the connection exists; r must not be kept.
	Open func(c *Conn, r *http.Request) Session
}

// A Turn is one stretch of reading from a WebSocket, see package websocket.
type Turn = websocket.Turn

// A Session receives what a connection carries.
type Session interface {
	// Message is called in arrival order, one call at a time but for calls
	// overtaken between [Turn.Begin] and [Turn.End]. data is only valid during
	// the call. t is nil when an HTTP request waits for the call to return.
	Message(t *Turn, data []byte, binary bool)
	// Closed is called once, after everything else has begun.
	Closed(reason Reason)
}

func (o Options) withDefaults() Options {
	if o.PingInterval <= 0 {
		o.PingInterval = 25 * time.Second
	}
	if o.PingTimeout <= 0 {
		o.PingTimeout = 20 * time.Second
	}
	if o.UpgradeTimeout <= 0 {
		o.UpgradeTimeout = 10 * time.Second
	}
	if o.MaxPayload <= 0 {
		o.MaxPayload = 1_000_000
	}
	if o.SendLimit <= 0 {
		o.SendLimit = 1 << 20
	}
	return o
}
