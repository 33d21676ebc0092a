package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A kind says what a server does with a message: it is the first byte.
type kind byte

const (
	kindEcho      kind = 'e'
	kindBroadcast kind = 'b' // to everybody
	kindCollect   kind = 'c' // collect garbage, give memory back, echo
)

func kindOf(data []byte) kind {
	k := kind(data[0])
	if k == kindCollect {
		debug.FreeOSMemory()
	}
	return k
}

// A layer is one way to speak WebSocket. All are behind net/http, as they
// would be in the server, which has other things on the same port. The
// libraries are used as their documentation shows: a goroutine reads each
// connection, buffers have 1 KB, a broadcast is framed once where there is a
// way to do so. What they write, they write at once or wait.
type layer struct {
	name  string
	serve func(net.Listener) error
}

var layers = []layer{
	{"internal/websocket", serveOurs},
	{"gorilla/websocket", serveGorilla},
	{"gobwas/ws", serveGobwas},
	{"coder/websocket", serveCoder},
	{"lxzan/gws", serveGws},
}

const bufferSize = 1024

// room holds all connections. None leaves before the process ends.
type room[C any] struct {
	mu      sync.Mutex
	members []C
}

func (r *room[C]) add(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members = append(r.members, c)
}

func (r *room[C]) each(f func(C)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.members {
		f(c)
	}
}

type ours struct{ room[*websocket.Conn] }

func serveOurs(l net.Listener) error {
	s := websocket.NewServer(websocket.Options{})
	go s.Run(context.Background())
	var h ours
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, buffered, err := s.Upgrade(w, r, nil); err == nil {
			h.add(c)
			c.Start(&h, buffered)
		}
	}))
}

func (h *ours) Message(_ *websocket.Conn, t *websocket.Turn, op websocket.Opcode, data []byte) {
	k, frame := kindOf(data), websocket.AppendFrame(nil, op, data)
	if k != kindBroadcast {
		t.Send(frame)
		return
	}
	h.each(func(c *websocket.Conn) { c.SendShared(frame) })
}

func (*ours) Pong(*websocket.Conn, []byte) {}

func (*ours) Closed(*websocket.Conn, *websocket.CloseError) {}

// gorillaConn lets one goroutine write at a time, as gorilla/websocket wants.
type gorillaConn struct {
	*gorilla.Conn
	mu sync.Mutex
}

func serveGorilla(l net.Listener) error {
	up := gorilla.Upgrader{ReadBufferSize: bufferSize, WriteBufferSize: bufferSize, WriteBufferPool: &sync.Pool{}}
	var all room[*gorillaConn]
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &gorillaConn{Conn: conn}
		all.add(c)
		go func() {
			for {
				op, data, err := c.ReadMessage()
				if err != nil {
					return
				}
				if kindOf(data) != kindBroadcast {
					c.mu.Lock()
					c.WriteMessage(op, data)
					c.mu.Unlock()
					continue
				}
				prepared, err := gorilla.NewPreparedMessage(op, data)
				if err != nil {
					return
				}
				all.each(func(c *gorillaConn) {
					c.mu.Lock()
					c.WritePreparedMessage(prepared)
					c.mu.Unlock()
				})
			}
		}()
	}))
}

func serveGobwas(l net.Listener) error {
	var all room[net.Conn]
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		all.add(c)
		go func() {
			rw := struct {
				io.Reader
				io.Writer
			}{bufio.NewReaderSize(c, bufferSize), c}
			for {
				data, op, err := wsutil.ReadClientData(rw)
				if err != nil {
					return
				}
				frame, err := ws.CompileFrame(ws.NewFrame(op, true, data))
				if err != nil {
					return
				}
				if kindOf(data) != kindBroadcast {
					c.Write(frame)
					continue
				}
				all.each(func(c net.Conn) { c.Write(frame) })
			}
		}()
	}))
}

func serveCoder(l net.Listener) error {
	ctx := context.Background()
	var all room[*coder.Conn]
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return
		}
		all.add(c)
		go func() {
			for {
				op, data, err := c.Read(ctx)
				if err != nil {
					return
				}
				if kindOf(data) != kindBroadcast {
					c.Write(ctx, op, data)
					continue
				}
				all.each(func(c *coder.Conn) { c.Write(ctx, op, data) })
			}
		}()
	}))
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	room[*gws.Conn]
}

func serveGws(l net.Listener) error {
	h := new(gwsHandler)
	up := gws.NewUpgrader(h, &gws.ServerOption{ReadBufferSize: bufferSize})
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := up.Upgrade(w, r); err == nil {
			h.add(c)
			go c.ReadLoop()
		}
	}))
}

func (h *gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if kindOf(m.Bytes()) != kindBroadcast {
		c.WriteMessage(m.Opcode, m.Bytes())
		return
	}
	b := gws.NewBroadcaster(m.Opcode, m.Bytes())
	defer b.Close()
	h.each(func(c *gws.Conn) { b.Broadcast(c) })
}
