package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// packetType is the first character of a Socket.IO packet.
type packetType byte

const (
	typeConnect      packetType = '0'
	typeDisconnect   packetType = '1'
	typeEvent        packetType = '2'
	typeAck          packetType = '3'
	typeConnectError packetType = '4'
	typeBinaryEvent  packetType = '5'
	typeBinaryAck    packetType = '6'
)

func (t packetType) binary() bool { return t == typeBinaryEvent || t == typeBinaryAck }

// maxAttachments is how many binary attachments a packet may announce, as in
// the JavaScript parser.
const maxAttachments = 10

// maxIDDigits keeps an acknowledgement id within what JavaScript counts exactly.
const maxIDDigits = 15

// errPacket is wrapped by every error about a malformed packet.
var errPacket = errors.New("malformed packet")

func malformed(why string) error { return &packetError{why} }

type packetError struct{ why string }

func (e *packetError) Error() string { return errPacket.Error() + ": " + e.why }
func (e *packetError) Unwrap() error { return errPacket }

// A packet is a decoded Socket.IO packet (protocol 5, section "Packet
// encoding"). Its slices lie in the message it was decoded from.
type packet struct {
	kind        packetType
	attachments int
	namespace   []byte // "/" unless named
	hasID       bool
	id          uint64
	data        []byte // the JSON payload; nil if there is none
}

var defaultNamespace = []byte("/")

// decodePacket decodes and checks everything but the payload.
func decodePacket(b []byte) (packet, error) {
	if len(b) == 0 || b[0] < byte(typeConnect) || b[0] > byte(typeBinaryAck) {
		return packet{}, malformed("unknown packet type")
	}
	p := packet{kind: packetType(b[0]), namespace: defaultNamespace}
	b = b[1:]
	if p.kind.binary() {
		n, rest, err := number(b, 2)
		if err != nil || len(rest) == 0 || rest[0] != '-' {
			return packet{}, malformed("illegal attachments")
		}
		if n > maxAttachments {
			return packet{}, malformed("too many attachments")
		}
		p.attachments, b = int(n), rest[1:]
	}
	if len(b) > 0 && b[0] == '/' {
		p.namespace, b, _ = bytes.Cut(b, []byte{','})
	}
	if len(b) > 0 && b[0] >= '0' && b[0] <= '9' {
		id, rest, err := number(b, maxIDDigits)
		if err != nil {
			return packet{}, malformed("illegal id")
		}
		p.id, p.hasID, b = id, true, rest
	}
	if len(b) > 0 {
		p.data = b
	}
	if p.kind == typeDisconnect && p.data != nil {
		return packet{}, malformed("DISCONNECT with a payload")
	}
	return p, nil
}

// number reads the digits at the start of b, of which there must be at least
// one and at most max.
func number(b []byte, max int) (n uint64, rest []byte, err error) {
	i := 0
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		if i == max {
			return 0, nil, errPacket
		}
		n = n*10 + uint64(b[i]-'0')
	}
	if i == 0 {
		return 0, nil, errPacket
	}
	return n, b[i:], nil
}

// reserved events belong to the libraries; no client may emit them.
var reserved = map[string]bool{
	"connect": true, "connect_error": true, "disconnect": true,
	"disconnecting": true, "newListener": true, "removeListener": true,
}

// eventArgs decodes the payload of an EVENT packet. known are names of which no
// new string need be made.
func eventArgs(data []byte, known map[string]string) (name string, args []json.RawMessage, err error) {
	elements, err := splitArray(data)
	if err != nil {
		return "", nil, err
	}
	if len(elements) == 0 || elements[0][0] != '"' {
		return "", nil, malformed("the first element of an event is not its name")
	}
	raw := elements[0]
	if name, ok := known[string(raw[1:len(raw)-1])]; ok {
		return name, elements[1:], nil
	}
	name = string(raw[1 : len(raw)-1])
	for i := range len(name) {
		if name[i] == '\\' {
			if err := json.Unmarshal(raw, &name); err != nil {
				return "", nil, malformed("event name")
			}
			break
		}
	}
	if reserved[name] {
		return "", nil, malformed("reserved event " + strconv.Quote(name))
	}
	return name, elements[1:], nil
}

// appendHeader appends the part of a packet before its payload.
func appendHeader(dst []byte, kind packetType, attachments int, namespace string, hasID bool, id uint64) []byte {
	dst = append(dst, byte(kind))
	if kind.binary() {
		dst = strconv.AppendInt(dst, int64(attachments), 10)
		dst = append(dst, '-')
	}
	if namespace != "/" {
		dst = append(dst, namespace...)
		dst = append(dst, ',')
	}
	if hasID {
		dst = strconv.AppendUint(dst, id, 10)
	}
	return dst
}

// appendEvent appends an EVENT packet whose arguments are JSON. With
// attachments it is a BINARY_EVENT.
func appendEvent(dst []byte, namespace, event string, args []json.RawMessage, attachments int) []byte {
	name := appendString(make([]byte, 0, len(event)+2), event)
	return appendPacket(dst, namespace, append([]json.RawMessage{name}, args...), attachments)
}

// appendPacket is appendEvent for arguments whose first is the name.
func appendPacket(dst []byte, namespace string, args []json.RawMessage, attachments int) []byte {
	kind := typeEvent
	if attachments > 0 {
		kind = typeBinaryEvent
	}
	dst = appendHeader(dst, kind, attachments, namespace, false, 0)
	return appendArgs(append(dst, '['), args)
}

// appendArgs appends JSON values and the end of their array.
func appendArgs(dst []byte, args []json.RawMessage) []byte {
	for i, arg := range args {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, arg...)
	}
	return append(dst, ']')
}

// appendString appends s as a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] >= 0x7f {
			b, _ := json.Marshal(s)
			return append(dst, b...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
