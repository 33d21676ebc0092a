package engineio

import (
	"net/http"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A probe is a WebSocket that wants to become the transport of a polling
// connection. It is its handler until it has.
type probe struct {
	c     *Conn
	timer *time.Timer
}

var _ websocket.Handler = (*probe)(nil)

// upgrade opens a WebSocket for a connection that is polling.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, c *Conn) *refusal {
	c.mu.Lock()
	free := c.poll != nil && !c.poll.probing && !c.closed
	if free {
		c.poll.probing = true
	}
	c.mu.Unlock()
	ws, buffered, err := s.ws.Upgrade(w, r, upgradeHeader(w))
	switch {
	case err != nil && free:
		c.probeFailed()
		return nil
	case err != nil:
		return nil
	case !free: // clients expect to be let in and shown out
		ws.Close(websocket.StatusPolicyViolation, "the connection has a WebSocket already")
		ws.Start(discard{}, nil)
		return nil
	}
	p := &probe{c: c}
	p.timer = time.AfterFunc(s.opts.UpgradeTimeout, ws.Abort)
	ws.Start(p, buffered)
	return nil
}

// probeFailed lets polling go on.
func (c *Conn) probeFailed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.poll != nil {
		c.poll.probing, c.poll.upgrading = false, false
	}
}

// Message handles the two packets of an upgrade.
func (p *probe) Message(ws *websocket.Conn, _ *Turn, op websocket.Opcode, data []byte) {
	c := p.c
	switch {
	case op == websocket.OpText && string(data) == string(packetPing)+"probe":
		c.mu.Lock()
		if c.poll != nil {
			c.poll.upgrading = true
			c.poll.noop = c.poll.waiting // the client goes on when its GET has ended
			c.poll.signal()
		}
		c.mu.Unlock()
		ws.Send(control(packetPong, "probe"))
	case op == websocket.OpText && string(data) == string(packetUpgrade) && p.timer.Stop() && c.upgraded(ws):
	default:
		ws.Close(websocket.StatusProtocolError, "unexpected packet during an upgrade")
	}
}

// upgraded makes ws the transport and sends it what is pending. It is called
// from within Message of the probe. A POST that is still being handled comes
// before everything that the WebSocket brings.
func (c *Conn) upgraded(ws *websocket.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.poll
	if p == nil || c.closed || !p.upgrading {
		return false
	}
	ws.SetHandler((*wsHandler)(c))
	switch {
	case p.posting:
		ws.Pause()
		p.upgrade = func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.switchLocked(ws)
			if c.holds == 0 {
				ws.Resume()
			}
		}
	case c.holds > 0:
		ws.Pause()
		c.switchLocked(ws)
	default:
		c.switchLocked(ws)
	}
	return true
}

// switchLocked makes ws the transport.
func (c *Conn) switchLocked(ws *websocket.Conn) {
	p := c.poll
	if c.closed {
		ws.Close(closeCode(c.reason), string(c.reason))
		return
	}
	for _, f := range p.frames {
		ws.SendShared(f)
	}
	p.drop()
	c.poll = nil
	c.ws.Store(ws)
	p.signal()
}

func (p *probe) Pong(*websocket.Conn, []byte) {}

func (p *probe) Closed(*websocket.Conn, *websocket.CloseError) {
	p.timer.Stop()
	p.c.probeFailed()
}
