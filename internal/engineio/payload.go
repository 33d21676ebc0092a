package engineio

import (
	"encoding/base64"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/websocket"
)

// errPayload is returned for a request body that is not a payload.
var errPayload = errors.New("engineio: malformed payload")

// packet is one decoded packet. data lies in the payload unless it was base64.
type packet struct {
	kind   packetType
	data   []byte
	binary bool
}

// decodePayload calls fn for each packet of a request body until it returns
// false. Packets before a malformed one have then been handled.
func decodePayload(body []byte, proto int, octets bool, fn func(packet) bool) error {
	next := nextV4
	switch {
	case proto == 3 && octets:
		next = nextV3Binary
	case proto == 3:
		next = nextV3
	}
	if len(body) == 0 {
		return errPayload
	}
	for more := true; more; {
		var raw []byte
		var binary bool
		var err error
		raw, binary, body, more, err = next(body)
		if err != nil {
			return err
		}
		p, err := decodePacket(raw, binary, proto)
		if err != nil {
			return err
		}
		if !fn(p) {
			return nil
		}
	}
	return nil
}

// separator stands between the packets of a protocol 4 payload.
const separator = '\x1e'

func nextV4(b []byte) (raw []byte, binary bool, rest []byte, more bool, err error) {
	for i, c := range b {
		if c == separator {
			return b[:i], false, b[i+1:], true, nil
		}
	}
	return b, false, nil, false, nil
}

// maxLengthDigits keeps a length prefix far from overflow.
const maxLengthDigits = 9

// nextV3 reads "<length>:<packet>", where length counts UTF-16 code units.
func nextV3(b []byte) (raw []byte, binary bool, rest []byte, more bool, err error) {
	n, i := 0, 0
	for ; i < len(b) && b[i] != ':'; i++ {
		if b[i] < '0' || b[i] > '9' || i >= maxLengthDigits {
			return nil, false, nil, false, errPayload
		}
		n = n*10 + int(b[i]-'0')
	}
	if i == 0 || i == len(b) || n == 0 {
		return nil, false, nil, false, errPayload
	}
	b = b[i+1:]
	at := 0
	for n > 0 {
		r, size := utf8.DecodeRune(b[at:])
		if size == 0 {
			return nil, false, nil, false, errPayload
		}
		at += size
		n--
		if r > 0xffff {
			n--
		}
	}
	if n < 0 {
		return nil, false, nil, false, errPayload
	}
	return b[:at], false, b[at:], at < len(b), nil
}

// nextV3Binary reads "<0 or 1><length digits as bytes><255><packet>", where
// length counts bytes.
func nextV3Binary(b []byte) (raw []byte, binary bool, rest []byte, more bool, err error) {
	if b[0] > 1 {
		return nil, false, nil, false, errPayload
	}
	n, i := 0, 1
	for ; i < len(b) && b[i] != 255; i++ {
		if b[i] > 9 || i > maxLengthDigits {
			return nil, false, nil, false, errPayload
		}
		n = n*10 + int(b[i])
	}
	if i == 1 || i == len(b) || n == 0 || n > len(b)-i-1 {
		return nil, false, nil, false, errPayload
	}
	end := i + 1 + n
	return b[i+1 : end], b[0] == 1, b[end:], end < len(b), nil
}

// decodePacket decodes a packet that did not come as a WebSocket frame.
func decodePacket(raw []byte, binary bool, proto int) (packet, error) {
	if len(raw) == 0 {
		return packet{}, errPayload
	}
	if binary {
		return packet{packetType(raw[0] + '0'), raw[1:], true}, nil
	}
	if raw[0] != 'b' {
		if !utf8.Valid(raw) { // it would end the WebSocket of whoever gets it next
			return packet{}, errPayload
		}
		return packet{packetType(raw[0]), raw[1:], false}, nil
	}
	kind, text := packetMessage, raw[1:]
	if proto == 3 { // "b4…": the type is named
		if len(text) == 0 {
			return packet{}, errPayload
		}
		kind, text = packetType(text[0]), text[1:]
	}
	data, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return packet{}, errPayload
	}
	return packet{kind, data, true}, nil
}

// payloadFormat is how a polling client wants its packets.
type payloadFormat uint8

const (
	formatV4       payloadFormat = iota
	formatV3                     // lengths before packets, binary as base64
	formatV3Octets               // the same, but binary as it is where there is any
)

// appendPayload appends the packets that frames hold as one payload and
// reports whether it is binary.
func appendPayload(dst []byte, frames [][]byte, format payloadFormat) (payload []byte, octets bool) {
	if format == formatV3Octets && anyBinary(frames) {
		eachPacket(frames, func(op websocket.Opcode, p []byte) { dst = appendV3Octets(dst, op, p) })
		return dst, true
	}
	first := true
	eachPacket(frames, func(op websocket.Opcode, p []byte) {
		if format != formatV4 {
			dst = appendV3(dst, op, p)
			return
		}
		if !first {
			dst = append(dst, separator)
		}
		first = false
		if op == websocket.OpBinary {
			dst = base64.StdEncoding.AppendEncode(append(dst, 'b'), p)
		} else {
			dst = append(dst, p...)
		}
	})
	return dst, false
}

func appendV3(dst []byte, op websocket.Opcode, p []byte) []byte {
	if op == websocket.OpBinary { // p begins with the type
		n := 2 + base64.StdEncoding.EncodedLen(len(p)-1)
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(dst, ':', 'b', p[0]+'0')
		return base64.StdEncoding.AppendEncode(dst, p[1:])
	}
	dst = strconv.AppendInt(dst, int64(utf16Len(p)), 10)
	return append(append(dst, ':'), p...)
}

func appendV3Octets(dst []byte, op websocket.Opcode, p []byte) []byte {
	dst = append(dst, byte(op-websocket.OpText)) // 0 for text, 1 for binary
	for _, digit := range strconv.Itoa(len(p)) {
		dst = append(dst, byte(digit-'0'))
	}
	return append(append(dst, 255), p...)
}

func eachPacket(frames [][]byte, fn func(op websocket.Opcode, payload []byte)) {
	for _, f := range frames {
		for len(f) > 0 {
			var op websocket.Opcode
			var p []byte
			op, p, f = websocket.SplitFrame(f)
			fn(op, p)
		}
	}
}

func anyBinary(frames [][]byte) (found bool) {
	eachPacket(frames, func(op websocket.Opcode, _ []byte) { found = found || op == websocket.OpBinary })
	return found
}

// utf16Len is the length that JavaScript gives the string.
func utf16Len(b []byte) (n int) {
	for _, r := range string(b) {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}
