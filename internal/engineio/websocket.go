package engineio

import (
	"errors"
	"io"

	"github.com/roomcast/roomcast/internal/websocket"
)

// wsHandler is a Conn as its WebSocket sees it.
type wsHandler Conn

var _ websocket.Handler = (*wsHandler)(nil)

// Message decodes one frame: text is a packet, binary is the data of a
// message, which protocol 3 prefixes with its type.
func (h *wsHandler) Message(ws *websocket.Conn, t *Turn, op websocket.Opcode, data []byte) {
	c := (*Conn)(h)
	p := packet{packetMessage, data, true}
	switch {
	case op == websocket.OpText:
		if len(data) == 0 {
			c.Close(ReasonParseError)
			return
		}
		p = packet{packetType(data[0]), data[1:], false}
	case c.proto == 3:
		if len(data) == 0 || data[0] != 4 {
			c.Close(ReasonParseError)
			return
		}
		p.data = data[1:]
	}
	if !c.packet(t, p) {
		c.Close(ReasonParseError)
		return
	}
	if p.kind == packetClose {
		ws.Close(websocket.StatusNormal, "")
	}
}

func (h *wsHandler) Pong(*websocket.Conn, []byte) {
	c := (*Conn)(h)
	c.beat.seen.Store(c.srv.wheel.now.Load())
}

func (h *wsHandler) Closed(_ *websocket.Conn, err *websocket.CloseError) {
	(*Conn)(h).end(closeReason(err))
}

// closeReason translates the end of a WebSocket.
func closeReason(err *websocket.CloseError) Reason {
	switch {
	case err.Remote:
		return ReasonTransportClose
	case err.Reason == websocket.ReasonSlow:
		return ReasonSlow
	case err.Code == websocket.StatusTooBig:
		return ReasonTooBig
	case err.Code == websocket.StatusProtocolError, err.Code == websocket.StatusInvalidPayload:
		return ReasonParseError
	case err.Err != nil && !errors.Is(err.Err, io.EOF):
		return ReasonTransportError
	}
	return ReasonTransportClose
}

// discard is the handler of a WebSocket that nobody needs.
type discard struct{}

func (discard) Message(*websocket.Conn, *Turn, websocket.Opcode, []byte) {}
func (discard) Pong(*websocket.Conn, []byte)                             {}
func (discard) Closed(*websocket.Conn, *websocket.CloseError)            {}
