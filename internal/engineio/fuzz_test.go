package engineio

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/websocket"
)

// decodeAll returns the packets of a payload, which outlive it.
func decodeAll(body []byte, proto int, octets bool) (packets []packet, err error) {
	err = decodePayload(body, proto, octets, func(p packet) bool {
		p.data = bytes.Clone(p.data)
		packets = append(packets, p)
		return true
	})
	return packets, err
}

// frames are packets as a connection of the protocol keeps them for a poll.
func frames(packets []packet, proto int) (frames [][]byte) {
	for _, p := range packets {
		switch {
		case !p.binary:
			frames = append(frames, control(p.kind, string(p.data)))
		case proto == 3: // the type comes first, and is a number
			data := append([]byte{byte(p.kind) - '0'}, p.data...)
			frames = append(frames, websocket.AppendFrame(nil, websocket.OpBinary, data))
		default:
			frames = append(frames, websocket.AppendFrame(nil, websocket.OpBinary, p.data))
		}
	}
	return frames
}

// What a client can post comes out the same after it has been sent back: the
// decoder and the encoder mean the same format, whatever it carries.
func FuzzDecodePayload(f *testing.F) {
	formats := []struct {
		proto  int
		octets bool
		reply  payloadFormat
	}{{4, false, formatV4}, {3, false, formatV3}, {3, true, formatV3Octets}}
	f.Fuzz(func(t *testing.T, choice uint8, body []byte) {
		format := formats[int(choice)%len(formats)]
		packets, err := decodeAll(body, format.proto, format.octets)
		for _, p := range packets {
			if len(p.data) >= len(body) {
				t.Fatalf("%q: a packet of %d bytes", body, len(p.data))
			}
			if whole := append([]byte{byte(p.kind)}, p.data...); !p.binary && !utf8.Valid(whole) {
				t.Fatalf("%q: text packet %q is not UTF-8", body, whole)
			}
		}
		if err != nil {
			return
		}
		if len(packets) == 0 {
			t.Fatalf("%q was accepted without a packet", body)
		}
		sent, octets := appendPayload(nil, frames(packets, format.proto), format.reply)
		again, err := decodeAll(sent, format.proto, octets)
		if err != nil {
			t.Fatalf("%q was sent back as %q: %v", body, sent, err)
		}
		if len(again) != len(packets) {
			t.Fatalf("%q: %d packets became %d", body, len(packets), len(again))
		}
		for i, p := range packets {
			if q := again[i]; q.kind != p.kind || q.binary != p.binary || !bytes.Equal(q.data, p.data) {
				t.Fatalf("%q: packet %d was %+v, is %+v", body, i, p, q)
			}
		}
	})
}
