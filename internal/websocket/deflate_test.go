package websocket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAcceptsDeflate(t *testing.T) {
	for offer, want := range map[string]bool{
		"":                   false,
		"permessage-deflate": true,
		"x-webkit-deflate-frame, permessage-deflate; client_max_window_bits":         true,
		"permessage-deflate; server_no_context_takeover; client_max_window_bits=10":  true,
		"permessage-deflate; server_max_window_bits=10":                              false,
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":          true,
		"permessage-deflate; server_max_window_bits=15":                              true,
		"permessage-deflate; nonsense":                                               false,
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover": false,
		"permessage-bzip2": false,
	} {
		if got := acceptsDeflate(http.Header{"Sec-Websocket-Extensions": {offer}}); got != want {
			t.Errorf("%q: %v", offer, got)
		}
	}
}

// dialDeflate connects a peer that has agreed on compression.
func dialDeflate(t *testing.T, opts Options, h Handler) *peer {
	t.Helper()
	opts.Compress = true
	p, _ := dialWith(t, opts, h, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
	return p
}

// zip compresses as a client does.
func zip(payload string) string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	io.WriteString(w, payload)
	w.Flush()
	return strings.TrimSuffix(b.String(), syncTail[:4])
}

func TestDeflate(t *testing.T) {
	p := dialDeflate(t, Options{MaxMessage: 100_000}, deflating{newEcho()})
	long := strings.Repeat("compress me ", 5000)
	text := byte(OpText)
	for _, tt := range []struct {
		in   [][]byte
		want string
	}{
		{[][]byte{frame(fin|rsv1Bit|text, zip("short"))}, "short"},
		{[][]byte{frame(fin|text, "not compressed")}, "not compressed"},
		{[][]byte{frame(fin|rsv1Bit|text, zip(long))}, long},
		{[][]byte{frame(rsv1Bit|text, zip(long)[:20]), frame(fin|byte(opContinuation), zip(long)[20:])}, long},
		{[][]byte{frame(fin|rsv1Bit|text, zip(""))}, ""},
	} {
		p.write(tt.in...)
		first, err := p.r.Peek(1)
		if err != nil {
			t.Fatal(err)
		}
		compressed := first[0]&rsv1Bit != 0
		_, got := p.read()
		if compressed {
			raw, err := inflate([]byte(got), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			got = string(raw)
		}
		if got != tt.want || compressed != (len(tt.want) >= deflateAbove) {
			t.Errorf("%d bytes, compressed %v; want %d bytes", len(got), compressed, len(tt.want))
		}
	}
}

// D13: a small message may inflate to anything.
func TestInflatedSizeIsLimited(t *testing.T) {
	bomb := zip(strings.Repeat("\x00", 50<<20))
	for name, tt := range map[string]struct {
		in   []byte
		code Status
	}{
		"bomb":                    {frame(fin|rsv1Bit|byte(OpBinary), bomb), StatusTooBig},
		"garbage":                 {frame(fin|rsv1Bit|byte(OpBinary), "\xff\xff\xff"), StatusInvalidPayload},
		"not UTF-8":               {frame(fin|rsv1Bit|byte(OpText), zip("\xff")), StatusInvalidPayload},
		"compressed ping":         {frame(fin|rsv1Bit|byte(opPing), ""), StatusProtocolError},
		"compressed continuation": {append(frame(byte(OpText), "x"), frame(fin|rsv1Bit|byte(opContinuation), "x")...), StatusProtocolError},
	} {
		h := newEcho()
		p := dialDeflate(t, Options{MaxMessage: 100_000}, h)
		p.write(tt.in)
		op, payload := p.read()
		if op != opClose || Status(binary.BigEndian.Uint16([]byte(payload))) != tt.code {
			t.Errorf("%s: opcode %d %q, want close %d", name, op, payload, tt.code)
		}
	}
}

// deflating sends everything back compressed where it is worth it.
type deflating struct{ *echo }

func (deflating) Message(c *Conn, _ *Turn, op Opcode, data []byte) {
	c.Send(Deflate(AppendFrame(nil, op, data)))
}
