package namespaces

import (
	"context"
	"encoding/json"
	"reflect"
	"sync"

	"github.com/roomcast/roomcast/events"
)

// A Route is what happens when a client emits an event. It is made by
// [Handle].
type Route struct {
	Event string

	// run returns the acknowledgement.
	run     func(ctx context.Context, s Session, arg json.RawMessage) ([]byte, error)
	failure func(arg json.RawMessage, e *events.Error) events.Payload
	always  bool
	in, out reflect.Type
}

// Handle makes a route whose payload is decoded into an In, and whose result,
// a struct, becomes the acknowledgement beside {"ok": true}. Errors that are
// an *events.Error reach the client, others as INTERNAL_ERROR.
func Handle[In, Out any](event string, fn func(ctx context.Context, s Session, in In) (Out, error)) Route {
	return handle(event, func(ctx context.Context, s Session, in In, reply func(Out) ([]byte, error)) ([]byte, error) {
		out, err := fn(ctx, s, in)
		if err != nil {
			return nil, err
		}
		return reply(out)
	})
}

// handle makes a route. call returns what reply made of the result.
func handle[In, Out any](event string, call func(ctx context.Context, s Session, in In, reply func(Out) ([]byte, error)) ([]byte, error)) Route {
	encoders := &sync.Pool{New: newReplyEncoder}
	reply := func(out Out) ([]byte, error) { return encodeReply(encoders, out) }
	return Route{
		Event: event,
		in:    reflect.TypeFor[In](),
		out:   reflect.TypeFor[Out](),
		run: func(ctx context.Context, s Session, arg json.RawMessage) ([]byte, error) {
			var in In
			if arg != nil {
				var err error
				if in, err = unmarshal[In](arg); err != nil {
					return nil, decodeError(err)
				}
			}
			return call(ctx, s, in, reply)
		},
		failure: func(_ json.RawMessage, e *events.Error) events.Payload {
			return events.Failure{Error: *e, Event: event}
		},
	}
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
