package engineio

import (
	"sync"

	"github.com/roomcast/roomcast/internal/websocket"
)

// packetType is the first character of an Engine.IO packet.
type packetType byte

const (
	packetOpen    packetType = '0'
	packetClose   packetType = '1'
	packetPing    packetType = '2'
	packetPong    packetType = '3'
	packetMessage packetType = '4'
	packetUpgrade packetType = '5'
	packetNoop    packetType = '6'
)

// A Frame is one message, encoded once for all connections that get it. It is
// immutable and may be sent concurrently.
type Frame struct {
	ws []byte // as a WebSocket frame of protocol 4
	z  *deflated
}

// deflated is a frame compressed, when the first connection needs it.
type deflated struct {
	once sync.Once
	ws   []byte
}

func newFrame(ws []byte) Frame { return Frame{ws, new(deflated)} }

func (f Frame) deflated() []byte {
	f.z.once.Do(func() { f.z.ws = websocket.Deflate(f.ws) })
	return f.z.ws
}

// TextFrame encodes a text message.
func TextFrame(text []byte) Frame {
	return newFrame(appendText(make([]byte, 0, len(text)+11), text))
}

// BinaryFrame encodes a binary message.
func BinaryFrame(data []byte) Frame {
	return newFrame(websocket.AppendFrame(make([]byte, 0, len(data)+10), websocket.OpBinary, data))
}

// Then returns the frame of both messages, which nothing can come between.
func (f Frame) Then(next Frame) Frame {
	return newFrame(append(f.ws[:len(f.ws):len(f.ws)], next.ws...))
}

// Len returns the size of the frame on a WebSocket, in bytes.
func (f Frame) Len() int { return len(f.ws) }

// appendText appends text as a WebSocket frame that holds a message packet.
func appendText(dst, text []byte) []byte {
	dst = websocket.AppendHeader(dst, websocket.OpText, len(text)+1)
	dst = append(dst, byte(packetMessage))
	return append(dst, text...)
}

// forProtocol3 returns the frame as clients of protocol 3 want it on a
// WebSocket: with the packet type before binary data too.
func (f Frame) forProtocol3() []byte {
	if !anyBinary([][]byte{f.ws}) {
		return f.ws
	}
	var b []byte
	eachPacket([][]byte{f.ws}, func(op websocket.Opcode, payload []byte) {
		if op != websocket.OpBinary {
			b = websocket.AppendFrame(b, op, payload)
			return
		}
		b = websocket.AppendHeader(b, op, len(payload)+1)
		b = append(append(b, 4), payload...)
	})
	return b
}

func control(t packetType, data string) []byte {
	return websocket.AppendFrame(nil, websocket.OpText, append([]byte{byte(t)}, data...))
}

var (
	pingFrame  = control(packetPing, "")
	closeFrame = control(packetClose, "")
	noopFrame  = control(packetNoop, "")
)
