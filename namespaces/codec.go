package namespaces

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"

	fast "github.com/segmentio/encoding/json"

	"github.com/roomcast/roomcast/events"
)

// unmarshal is json.Unmarshal into a zero value, at a quarter of the cost for
// what clients usually send. The decoder is stricter here: names have their
// case, and none is unknown. What it refuses is decoded again, so that what is
// accepted and what is said about the rest are up to encoding/json alone. It
// would differ for a time.Duration, which it takes as text too, and for numbers
// as keys of maps, which it takes with spaces; no payload has either.
func unmarshal[T any](raw []byte) (T, error) {
	var v T
	// Texts are copied: raw is only valid until the handler has returned.
	rest, err := fast.Parse(raw, &v, fast.DontMatchCaseInsensitiveStructFields|fast.DisallowUnknownFields)
	if err == nil && len(bytes.TrimLeft(rest, " \t\r\n")) == 0 {
		return v, nil
	}
	var again T
	err = json.Unmarshal(raw, &again)
	return again, err
}

// decodeError names the field that could not be decoded.
func decodeError(err error) error {
	if e := (*events.Error)(nil); errors.As(err, &e) {
		return e
	}
	if t, ok := err.(*json.UnmarshalTypeError); ok {
		field := t.Field
		if field == "" {
			field = "payload"
		}
		return events.FieldErrorf(field, "got %s", t.Value)
	}
	return events.FieldErrorf("payload", "%v", err)
}

// A replyEncoder makes acknowledgements of successes. It writes what
// encoding/json hands it straight behind the head, for json.Marshal would copy
// it once more.
type replyEncoder struct {
	json  *json.Encoder
	reply []byte
}

func newReplyEncoder() any {
	e := new(replyEncoder)
	e.json = json.NewEncoder(e)
	return e
}

// encodeReply makes the acknowledgement of a success.
func encodeReply(encoders *sync.Pool, out any) ([]byte, error) {
	e := encoders.Get().(*replyEncoder)
	err := e.json.Encode(out)
	reply := e.reply
	e.reply = nil
	encoders.Put(e)
	return reply, err
}

// Write takes one value, with the new line that ends it.
func (e *replyEncoder) Write(value []byte) (int, error) {
	switch s := string(value); s {
	case "{}\n", "null\n":
		e.reply = []byte(`{"ok":true}`)
	default:
		const head = `{"ok":true,`
		e.reply = make([]byte, 0, len(head)+len(value)-2)
		e.reply = append(append(e.reply, head...), value[1:len(value)-1]...)
	}
	return len(value), nil
}

// encodeFailure makes the acknowledgement of a failure.
func encodeFailure(e *events.Error) []byte {
	b, _ := json.Marshal(struct {
		OK    bool          `json:"ok"`
		Error *events.Error `json:"error"`
	}{false, e})
	return b
}
