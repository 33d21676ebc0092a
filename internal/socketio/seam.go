package socketio

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/google/uuid"
	libpacket "github.com/zishang520/engine.io-go-parser/packet"
	"github.com/zishang520/engine.io/v2/engine"
	"github.com/zishang520/engine.io/v2/events"
	"github.com/zishang520/engine.io/v2/transports"
	"github.com/zishang520/engine.io/v2/types"
	libparser "github.com/zishang520/socket.io-go-parser/v2/parser"

	"github.com/roomcast/roomcast/internal/engineio"
)

// This file is our engine as the library sees it. The embedded interfaces are
// nil: what the library does not call is not there.

// boundEngine is what the library's server is bound to. It learns of
// connections through it.
type boundEngine struct {
	engine.BaseServer
	connection events.Listener
}

func newBoundEngine() *boundEngine { return &boundEngine{} }

// On keeps the one listener that the library registers, for "connection".
func (b *boundEngine) On(_ events.EventName, listeners ...events.Listener) error {
	b.connection = listeners[0]
	return nil
}

// libConn is a connection. The library registers one listener for each event.
type libConn struct {
	engine.Socket
	link *link

	mu      sync.Mutex
	data    events.Listener
	onClose events.Listener
}

var _ engine.Socket = (*libConn)(nil)

func (c *libConn) On(event events.EventName, listeners ...events.Listener) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch event {
	case "data":
		c.data = listeners[0]
	case "close":
		c.onClose = listeners[0]
	}
	return nil
}

func (c *libConn) Once(event events.EventName, listeners ...events.Listener) error {
	return c.On(event, listeners...)
}

func (c *libConn) RemoveListener(event events.EventName, _ events.Listener) bool {
	c.On(event, nil)
	return true
}

// receive gives the library a packet.
func (c *libConn) receive(p *libparser.Packet) {
	c.mu.Lock()
	data := c.data
	c.mu.Unlock()
	if data != nil {
		data(p)
	}
}

// closed tells the library that the connection has ended.
func (c *libConn) closed(reason engineio.Reason) {
	c.mu.Lock()
	onClose := c.onClose
	c.onClose = nil
	c.mu.Unlock()
	if onClose != nil {
		onClose(string(reason))
	}
}

// Write sends what the library's encoder made.
func (c *libConn) Write(r io.Reader, _ *libpacket.Options, _ engine.SendCallback) engine.Socket {
	if b, ok := r.(interface{ Bytes() []byte }); ok {
		c.link.wrote(b.Bytes())
	}
	return c
}

func (c *libConn) Send(r io.Reader, o *libpacket.Options, cb engine.SendCallback) engine.Socket {
	return c.Write(r, o, cb)
}

// Close is called when the library gives up on a client.
func (c *libConn) Close(bool) { c.link.conn.Close(engineio.ReasonForcedClose) }

func (c *libConn) ReadyState() string {
	if c.link.conn.Open() {
		return "open"
	}
	return "closed"
}

func (c *libConn) Protocol() int                   { return c.link.conn.Protocol() }
func (c *libConn) Id() string                      { return c.publicID() }
func (c *libConn) RemoteAddress() string           { return c.link.conn.RemoteIP() }
func (c *libConn) Request() *types.HttpContext     { return noRequest() }
func (c *libConn) Transport() transports.Transport { return libTransport{conn: c.link.conn} }

// publicID is what the library names a socket of protocol 3 after. It is not
// the connection's id, which is a secret.
func (c *libConn) publicID() string {
	if c.Protocol() != 3 {
		return ""
	}
	return uuid.NewString()
}

// noRequest is the request of every connection as far as the library can
// tell: it would keep a copy of the headers and the query for each socket.
// Who needs them asks the link.
var noRequest = sync.OnceValue(func() *types.HttpContext {
	r, _ := http.NewRequest(http.MethodGet, "/socket.io/", nil)
	ctx := types.NewHttpContext(nullWriter{}, r)
	ctx.Flush()
	return ctx
})

type nullWriter struct{}

func (nullWriter) Header() http.Header         { return http.Header{} }
func (nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (nullWriter) WriteHeader(int)             {}

type libTransport struct {
	transports.Transport
	conn *engineio.Conn
}

func (t libTransport) Writable() bool { return t.conn.Writable() }
func (t libTransport) Name() string   { return t.conn.Transport() }

// parser makes the library's encoders and decoders. Decoding has already
// happened when a packet reaches the library.
type parser struct{}

var _ libparser.Parser = parser{}

func (parser) NewEncoder() libparser.Encoder { return encoder{} }
func (parser) NewDecoder() libparser.Decoder { return &decoder{} }

type decoder struct {
	events.EventEmitter
	decoded events.Listener
}

func (d *decoder) On(_ events.EventName, listeners ...events.Listener) error {
	d.decoded = listeners[0]
	return nil
}
func (d *decoder) RemoveListener(events.EventName, events.Listener) bool { return true }
func (d *decoder) Destroy()                                              {}
func (d *decoder) Add(p any) error {
	d.decoded(p)
	return nil
}

// encoder encodes what the library itself says: the answers to CONNECT, and
// DISCONNECT. Events take another way.
type encoder struct{}

func (encoder) Encode(p *libparser.Packet) []types.BufferInterface {
	hasID := p.Id != nil
	var id uint64
	if hasID {
		id = *p.Id
	}
	b := appendHeader(nil, packetType(p.Type), 0, p.Nsp, hasID, id)
	if p.Data != nil {
		data, err := json.Marshal(p.Data)
		if err != nil {
			return nil
		}
		b = append(b, data...)
	}
	return []types.BufferInterface{types.NewStringBuffer(b)}
}
