package rawws_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/servertest"
	"github.com/roomcast/roomcast/internal/websocket"
)

// The first byte of a frame: the opcode, and whether it is the last of its
// message.
const (
	fin     = 0x80
	text    = 0x1
	bin     = 0x2
	goodbye = 0x8
	ping    = 0x9
	pong    = 0xA
)

// A raw client can break every rule.
type raw struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dialRaw(t *testing.T, s *servertest.Server, path string) *raw {
	t.Helper()
	address := strings.TrimPrefix(s.URL, "http://")
	nc, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(eventually.Patience))
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, address)
	c := &raw{nc, t, bufio.NewReader(nc)}
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	return c
}

// maskedFrame is a frame of a client.
func maskedFrame(first byte, payload string) []byte {
	key := [4]byte{0x11, 0x22, 0x33, 0x44}
	b := append(websocket.AppendHeader(nil, 0, len(payload)), key[:]...)
	b[0] = first
	b[1] |= 0x80
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

// read returns the next frame.
func (c *raw) read() (op byte, payload string) {
	c.t.Helper()
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:2]); err != nil {
		c.t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		io.ReadFull(c.r, head[2:])
		n = int(binary.BigEndian.Uint16(head[2:]))
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	return head[0] &^ fin, string(b)
}

// codeOf is the code of a close frame, 0 of another.
func codeOf(op byte, payload string) websocket.Status {
	if op != goodbye || len(payload) < 2 {
		return 0
	}
	return websocket.Status(binary.BigEndian.Uint16([]byte(payload)))
}

// wantClose expects a close frame next.
func (c *raw) wantClose(code websocket.Status) {
	c.t.Helper()
	op, payload := c.read()
	if got := codeOf(op, payload); got != code {
		c.t.Errorf("opcode %d %q, want a close with %d", op, payload, code)
	}
}

// wantEnd expects the end of the connection, as both have closed.
func (c *raw) wantEnd() {
	c.t.Helper()
	if n, err := c.r.Read(make([]byte, 1)); err != io.EOF {
		c.t.Errorf("after the close: %d %v", n, err)
	}
}

func shapeOf(text string) string {
	var m map[string]any
	if json.Unmarshal([]byte(text), &m) != nil {
		return text
	}
	return shape(m)
}

func closing(code websocket.Status, reason string) []byte {
	return maskedFrame(fin|goodbye, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// The paths are as strict as the package that reads their frames, which has more
// of these cases.
func TestStrictness(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	join := func(frames ...[]byte) (all []byte) {
		for _, f := range frames {
			all = append(all, f...)
		}
		return all
	}
	unmasked := websocket.AppendFrame(nil, websocket.OpText, []byte(unheard))
	for _, row := range []struct {
		name string
		in   []byte
		code websocket.Status
	}{
		{"not masked", unmasked, websocket.StatusProtocolError},
		{"not masked, a close", websocket.AppendFrame(nil, goodbye, nil), websocket.StatusProtocolError},
		{"reserved bit 1, as nothing was agreed on", maskedFrame(fin|0x40|text, "x"), websocket.StatusProtocolError},
		{"reserved bit 2", maskedFrame(fin|0x20|text, "x"), websocket.StatusProtocolError},
		{"reserved bit 3", maskedFrame(fin|0x10|ping, ""), websocket.StatusProtocolError},
		{"opcode 3", maskedFrame(fin|3, "x"), websocket.StatusProtocolError},
		{"opcode 11", maskedFrame(fin|11, ""), websocket.StatusProtocolError},
		{"long ping", maskedFrame(fin|ping, strings.Repeat("x", 126)), websocket.StatusProtocolError},
		{"long close", maskedFrame(fin|goodbye, strings.Repeat("x", 126)), websocket.StatusProtocolError},
		{"fragmented ping", maskedFrame(ping, "x"), websocket.StatusProtocolError},
		{"fragmented ping within fragments", join(maskedFrame(text, "{"), maskedFrame(ping, "x")), websocket.StatusProtocolError},
		{"continuation of nothing", maskedFrame(fin, "x"), websocket.StatusProtocolError},
		{"message within a message", join(maskedFrame(text, "{"), maskedFrame(fin|text, "}")), websocket.StatusProtocolError},
		{"continuation after the end", join(maskedFrame(text, `"`), maskedFrame(fin, `"`), maskedFrame(fin, "x"))[14:], websocket.StatusProtocolError},
		{"length beyond 63 bits", []byte{fin | text, 0x80 | 127, 0xff, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, websocket.StatusProtocolError},
		{"text that is not UTF-8", maskedFrame(fin|text, `{"type":"`+"\xed\xa0\x80"+`"}`), websocket.StatusInvalidPayload},
		{"over several fragments", join(maskedFrame(text, `{"type":"`+"\xf0\x9f"), maskedFrame(0, "\x98"), maskedFrame(fin, `"}`)), websocket.StatusInvalidPayload},
		{"binary that is not UTF-8", maskedFrame(fin|bin, "\xff"), websocket.StatusUnsupportedData},
		{"close of one byte", maskedFrame(fin|goodbye, "x"), websocket.StatusProtocolError},
		{"close whose reason is not UTF-8", closing(1000, "\xff"), websocket.StatusInvalidPayload},
		{"close 999", closing(999, ""), websocket.StatusProtocolError},
		{"close 1005", closing(1005, ""), websocket.StatusProtocolError},
		{"close 1006", closing(1006, ""), websocket.StatusProtocolError},
		{"close 2999", closing(2999, ""), websocket.StatusProtocolError},
		{"close 5000", closing(5000, ""), websocket.StatusProtocolError},
		{"close 1000", closing(1000, "bye"), 1000},
		{"close 4321", closing(4321, strings.Repeat("x", 123)), 4321},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := dialRaw(t, s, "/ws")
			c.Write(row.in)
			c.wantClose(row.code)
			if strings.HasPrefix(row.name, "close ") && row.code != websocket.StatusProtocolError && row.code != websocket.StatusInvalidPayload {
				c.wantEnd()
			}
		})
	}
}

// What is in order is taken, however it comes.
func TestFragments(t *testing.T) {
	t.Parallel()
	s := every(t, nil)
	c := dialRaw(t, s, "/ws")
	message := `{"type":"ping","timestamp":17,"note":"κόσμε 😘"}`
	var frames []byte
	for i, first := 0, byte(text); i < len(message); i, first = i+1, 0 { // cut within characters, too
		if i == len(message)-1 {
			first |= fin
		}
		frames = append(frames, maskedFrame(first, message[i:i+1])...)
		if i == 10 {
			frames = append(frames, maskedFrame(fin|ping, "now")...)
			frames = append(frames, maskedFrame(fin|pong, "unasked")...)
		}
	}
	for _, b := range frames { // and byte by byte
		c.Write([]byte{b})
	}
	if op, payload := c.read(); op != pong || payload != "now" {
		t.Errorf("opcode %d %q", op, payload)
	}
	if op, payload := c.read(); op != text || payload != `{"type":"pong","payload":{},"timestamp":17}` {
		t.Errorf("opcode %d %q", op, payload)
	}
	// A close without a code is answered likewise, and nothing after it counts.
	c.Write(append(maskedFrame(fin|goodbye, ""), maskedFrame(fin|text, unheard)...))
	if op, payload := c.read(); op != goodbye || payload != "" {
		t.Errorf("opcode %d %q", op, payload)
	}
	c.wantEnd()
	// When the server closes it waits for the answer, and handles nothing more.
	c = dialRaw(t, s, "/ws/service?token=bad")
	if _, said := c.read(); shapeOf(said) != "service error unauthorized" {
		t.Error(said)
	}
	c.Write(maskedFrame(fin|text, unheard))
	c.wantClose(4401)
	c.Write(closing(4401, ""))
	c.wantEnd()
}
