package redis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/roomcast/roomcast/internal/cluster"
)

// maxMessage is the size of what is decoded, in bytes.
const maxMessage = 128 << 20

var (
	errSize   = errors.New("too large")
	errUTF8   = errors.New("not UTF-8")
	errPacket = errors.New("a packet that is not an event")
	errOther  = errors.New("of a namespace or kind that is not handled") // and not worth counting
)

// An incoming is what one message from Redis says: either a message or a
// response, and the number that its sender gave it, 0 if it has none.
type incoming struct {
	namespace string
	message   *cluster.Message
	response  *cluster.Response
	seq       uint64
}

// A stamp is what our messages say besides, where JavaScript servers do not
// look: seq, or seq:offset:prev:epoch.
type stamp string

func makeStamp(seq uint64, p cluster.Position) stamp {
	b := strconv.AppendUint(nil, seq, 10)
	if p.Offset > 0 {
		b = strconv.AppendUint(append(b, ':'), p.Offset, 10)
		b = strconv.AppendUint(append(b, ':'), p.Prev, 10)
		b = append(append(b, ':'), p.Epoch...)
	}
	return stamp(b)
}

// parse returns zeros for what is not a stamp.
func (s stamp) parse() (seq uint64, p cluster.Position) {
	parts := strings.SplitN(string(s), ":", 4)
	seq, err := strconv.ParseUint(parts[0], 10, 64)
	if err != nil {
		return 0, cluster.Position{}
	}
	if len(parts) < 4 {
		return seq, cluster.Position{}
	}
	offset, err1 := strconv.ParseUint(parts[1], 10, 64)
	prev, err2 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil {
		return seq, cluster.Position{}
	}
	return seq, cluster.Position{Epoch: parts[3], Offset: offset, Prev: prev}
}

// UnmarshalJSON implements json.Unmarshaler. What is not a stamp is none.
func (s *stamp) UnmarshalJSON(b []byte) error {
	*s = stamp(looseText(b))
	return nil
}

// names are rooms. JavaScript has numbers there, too.
type names []string

// UnmarshalJSON implements json.Unmarshaler.
func (n *names) UnmarshalJSON(b []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	*n = make(names, len(raw))
	for i, r := range raw {
		(*n)[i] = looseText(r)
	}
	return nil
}

// text is a string, or something else as its JSON.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(b []byte) error {
	*t = text(looseText(b))
	return nil
}

func looseText(b []byte) string {
	var s string
	if json.Unmarshal(b, &s) == nil { // null is ""
		return s
	}
	return string(b)
}

// options are the opts of the wire.
type options struct {
	Rooms  names `json:"rooms"`
	Except names `json:"except"`
	Flags  struct {
		Volatile any   `json:"volatile"`
		Timeout  any   `json:"timeout"`
		Roomcast stamp `json:"roomcast"`
	} `json:"flags"`
}

// apply puts them into a message and returns the sender's number.
func (o *options) apply(m *cluster.Message) (seq uint64) {
	m.Target = cluster.Target{Rooms: o.Rooms, Except: o.Except}
	m.Volatile = o.Flags.Volatile == true
	if ms, ok := o.Flags.Timeout.(float64); ok && ms > 0 && ms < float64(24*time.Hour/time.Millisecond) {
		m.Timeout = time.Duration(ms * float64(time.Millisecond))
	}
	seq, m.Position = o.Flags.Roomcast.parse()
	return seq
}

func appendOptions(b []byte, m *cluster.Message, s stamp) []byte {
	b = append(b, `{"rooms":`...)
	b = appendNames(b, m.Target.Rooms)
	b = append(b, `,"except":`...)
	b = appendNames(b, m.Target.Except)
	b = append(b, `,"flags":{`...)
	if m.Volatile {
		b = append(b, `"volatile":true,`...)
	}
	if m.Timeout > 0 {
		b = append(b, `"timeout":`...)
		b = strconv.AppendInt(b, m.Timeout.Milliseconds(), 10)
		b = append(b, ',')
	}
	if s != "" {
		b = append(b, `"roomcast":`...)
		b = appendJSONString(b, string(s))
		b = append(b, ',')
	}
	return append(bytes.TrimSuffix(b, []byte{','}), "}}"...)
}

func appendNames(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSONString(b, s)
	}
	return append(b, ']')
}

// appendArgs appends the arguments of an event as an array.
func appendArgs(b []byte, args []json.RawMessage) []byte {
	b = append(b, '[')
	for i, arg := range args {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, arg...)
	}
	return append(b, ']')
}

// appendMember appends ,"key":"value".
func appendMember(b []byte, key, value string) []byte {
	b = append(append(append(b, `,"`...), key...), `":`...)
	return appendJSONString(b, value)
}

// finish returns JSON as it is, or as MessagePack if there are attachments.
func finish(js []byte, attachments [][]byte) ([]byte, error) {
	if len(attachments) == 0 {
		return js, nil
	}
	return appendMsgpack(nil, js, attachments)
}

// open returns a payload as JSON. How it is encoded is told by its first byte.
func open(payload []byte, how bins) (js []byte, attachments [][]byte, err error) {
	switch {
	case len(payload) > maxMessage:
		return nil, nil, errSize
	case len(payload) > 0 && payload[0] == '{':
		// It may be sent on to clients as it is.
		if !utf8.Valid(payload) {
			return nil, nil, errUTF8
		}
		return payload, nil, nil
	}
	return fromMsgpack(payload, how)
}

// packet is the event of a broadcast on the wire.
type packet struct {
	Type      int               `json:"type"`
	Data      []json.RawMessage `json:"data"`
	Namespace *string           `json:"nsp"`
}

// Types of packets of Socket.IO.
const (
	packetEvent       = 2
	packetBinaryEvent = 5
)

func (p *packet) event(attachments [][]byte) (cluster.Packet, error) {
	if p.Type != packetEvent && p.Type != packetBinaryEvent {
		return cluster.Packet{}, errPacket
	}
	return event(p.Data, attachments)
}

func event(data []json.RawMessage, attachments [][]byte) (cluster.Packet, error) {
	if len(data) == 0 || len(data[0]) == 0 || data[0][0] != '"' {
		return cluster.Packet{}, errPacket
	}
	return cluster.Packet{Args: data, Attachments: attachments}, nil
}

func unmarshal(js []byte, v any) error {
	if err := json.Unmarshal(js, v); err != nil {
		return fmt.Errorf("not as expected: %w", err)
	}
	return nil
}

// ackValue is what an ack of our program says: nothing, or one value.
func ackValue(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}
