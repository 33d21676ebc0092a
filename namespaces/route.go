package namespaces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"

	"github.com/roomcast/roomcast/events"
)

// A Route is what happens when a client emits an event. It is made by
// [Handle].
type Route struct {
	Event string

	run     func(ctx context.Context, s Session, arg json.RawMessage) (any, error)
	failure func(arg json.RawMessage, e *events.Error) events.Payload
	always  bool
	in, out reflect.Type
}

// Handle makes a route whose payload is decoded into an In, and whose result,
// a struct, becomes the acknowledgement beside {"ok": true}. Errors that are
// an *events.Error reach the client, others as INTERNAL_ERROR.
func Handle[In, Out any](event string, fn func(ctx context.Context, s Session, in In) (Out, error)) Route {
	return Route{
		Event: event,
		in:    reflect.TypeFor[In](),
		out:   reflect.TypeFor[Out](),
		run: func(ctx context.Context, s Session, arg json.RawMessage) (any, error) {
			var in In
			if arg != nil {
				if err := json.Unmarshal(arg, &in); err != nil {
					return nil, decodeError(err)
				}
			}
			return fn(ctx, s, in)
		},
		failure: func(_ json.RawMessage, e *events.Error) events.Payload {
			return events.Failure{Error: *e, Event: event}
		},
	}
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

// FailingAs returns the route with its own error event instead of "error". It
// is emitted when there is no acknowledgement to carry the error.
func (r Route) FailingAs(fn func(arg json.RawMessage, e *events.Error) events.Payload) Route {
	r.failure = fn
	return r
}

// FailingAlwaysAs is FailingAs for clients that wait for the event whether or
// not they asked for an acknowledgement.
func (r Route) FailingAlwaysAs(fn func(arg json.RawMessage, e *events.Error) events.Payload) Route {
	r.failure, r.always = fn, true
	return r
}

// Types returns the types of the payload and of the acknowledgement, for the
// test that compares them with the contract.
func (r Route) Types() (in, out reflect.Type) { return r.in, r.out }

// encodeReply makes the acknowledgement of a success.
func encodeReply(out any) ([]byte, error) {
	fields, err := json.Marshal(out)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(fields, []byte("{}")) || bytes.Equal(fields, []byte("null")) {
		return []byte(`{"ok":true}`), nil
	}
	return append([]byte(`{"ok":true,`), fields[1:]...), nil
}

// encodeFailure makes the acknowledgement of a failure.
func encodeFailure(e *events.Error) []byte {
	b, _ := json.Marshal(struct {
		OK    bool          `json:"ok"`
		Error *events.Error `json:"error"`
	}{false, e})
	return b
}
