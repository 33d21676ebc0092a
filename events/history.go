package events

import (
	"encoding/json"
	"strconv"
)

// Numbered is a payload with its offset in the history of its room.
type Numbered struct {
	Payload
	Offset uint64
}

// Encode returns the JSON of a payload, with its offset if it has one.
func Encode(p Payload) (JSON, error) {
	n, numbered := p.(Numbered)
	if !numbered {
		return json.Marshal(p)
	}
	b, err := json.Marshal(n.Payload)
	return WithOffset(b, n.Offset), err
}

// WithOffset adds an offset to an encoded payload that has none. It is put
// behind the other fields, so that nothing need be decoded. What is not an
// object stays as it is.
func WithOffset(payload JSON, offset uint64) JSON {
	n := len(payload)
	if n < 2 || payload[0] != '{' || payload[n-1] != '}' {
		return payload
	}
	out := make(JSON, 0, n+len(`,"offset":18446744073709551615`))
	out = append(out, payload[:n-1]...)
	if n > 2 {
		out = append(out, ',')
	}
	return append(strconv.AppendUint(append(out, `"offset":`...), offset, 10), '}')
}

// Gap tells a session that it has missed something that will never come. It
// stands where that would have been.
type Gap struct {
	Room   Room      `json:"room"`
	From   uint64    `json:"from"` // the first offset that is missing
	To     uint64    `json:"to"`   // the last
	Reason GapReason `json:"reason"`
}

// EventName implements [Payload].
func (Gap) EventName() string { return "gap" }

// GapReason is why something will never come.
type GapReason string

// The reasons.
const (
	GapTrimmed GapReason = "trimmed" // it is not kept any longer
	GapEpoch   GapReason = "epoch"   // the offset is of another history; 0 stands for all that was in that
	GapUnknown GapReason = "unknown" // offsets that were not given out
	GapBus     GapReason = "bus"     // it was lost between servers
)

// Since is the last that a client has got of a room.
type Since struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// Resume returns the offset after which a room is to be read for the client,
// and the gap before that, if something will never come. epoch, trimmed and
// head are those of the room's history: what is up to trimmed is gone.
func (s Since) Resume(room Room, epoch string, trimmed, head uint64) (after uint64, gap *Gap) {
	switch {
	case s.Epoch != epoch:
		return trimmed, &Gap{Room: room, From: 0, To: trimmed, Reason: GapEpoch}
	case s.Offset > head:
		return head, &Gap{Room: room, From: head + 1, To: s.Offset, Reason: GapUnknown}
	case s.Offset < trimmed:
		return trimmed, &Gap{Room: room, From: s.Offset + 1, To: trimmed, Reason: GapTrimmed}
	}
	return s.Offset, nil
}
