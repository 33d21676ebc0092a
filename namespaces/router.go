package namespaces

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/nearest"
)

// A Contract checks messages. The errors of Inbound are for the client; one
// of Ack means that the server is wrong.
type Contract interface {
	Inbound(namespace, event string, arg []byte) error
	Ack(namespace, event string, reply []byte) error
}

// RouterOptions configure a [Router].
type RouterOptions struct {
	Contract Contract
	Logger   *slog.Logger
	// Timeout bounds one handler. Default 10 s.
	Timeout time.Duration
	// Emitted, if set, reports whether the server emits an event, so that a
	// client that does so by mistake is told.
	Emitted func(namespace, event string) bool
}

// A Router takes the events of one namespace to their handlers. Its methods
// may be called concurrently.
type Router struct {
	namespace string
	routes    map[string]*Route
	opts      RouterOptions
	refused   refusals
}

// NewRouter returns the router of a namespace.
func NewRouter(ns Namespace, opts RouterOptions) *Router {
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	r := &Router{namespace: ns.Name, routes: make(map[string]*Route), opts: opts}
	for _, route := range ns.Routes {
		if _, twice := r.routes[route.Event]; twice {
			panic("namespaces: two routes for " + route.Event)
		}
		r.routes[route.Event] = &route
	}
	return r
}

// Dispatch runs the handler of an event and returns the acknowledgement. When
// nobody waits for one, wantsAck is false, and a failure is emitted instead.
func (r *Router) Dispatch(ctx context.Context, s Session, event string, args []json.RawMessage, wantsAck bool) []byte {
	route, arg, err := r.accept(event, args)
	if err == nil {
		var reply []byte
		if reply, err = r.run(ctx, s, route, arg); err == nil {
			return reply
		}
	}
	e := r.report(s, event, err)
	switch {
	case errors.Is(err, ErrEnded): // a client that goes on would hear it as the answer to a repeat
	case route == nil && !wantsAck:
		s.Emit(events.Failure{Error: *e, Event: event})
	case route != nil && (!wantsAck || route.always):
		s.Emit(route.failure(arg, e))
	}
	return encodeFailure(e)
}

// accept finds the route and checks the arguments.
func (r *Router) accept(event string, args []json.RawMessage) (*Route, json.RawMessage, error) {
	route, ok := r.routes[event]
	if !ok {
		return nil, nil, events.Errorf(events.CodeInvalidRequest, "unknown event %q%s", shorten(event), r.suggest(event))
	}
	var arg json.RawMessage
	if len(args) > 0 {
		arg = args[0]
	}
	if len(args) > 1 {
		return route, arg, events.FieldErrorf("payload", "%s takes one argument, got %d", event, len(args))
	}
	return route, arg, r.opts.Contract.Inbound(r.namespace, event, arg)
}

// run calls the handler. A panic is the fault of one event, not of the server.
func (r *Router) run(ctx context.Context, s Session, route *Route, arg json.RawMessage) (reply []byte, err error) {
	deadline := withLazyDeadline(ctx, r.opts.Timeout)
	deadline.id = s.Identity()
	defer func() {
		deadline.finish()
		if p := recover(); p != nil {
			reply, err = nil, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if reply, err = route.run(deadline, s, arg); err != nil {
		return nil, err
	}
	return reply, r.ackError(r.opts.Contract.Ack(r.namespace, route.Event, reply))
}

// ackError keeps a violation of ours from reaching the client as theirs.
func (r *Router) ackError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%v", err)
}

// report logs a failure and returns what the client may know of it.
func (r *Router) report(s Session, event string, err error) *events.Error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = events.Errorf(events.CodeTimeout, "%s took longer than %v", event, r.opts.Timeout)
	}
	e, meant := events.Public(err)
	if errors.Is(err, ErrEnded) {
		r.logger(s).Debug("session ended in the middle of an event", "event", shorten(event))
		return e
	}
	if !meant {
		r.logger(s).Error("event failed", "event", shorten(event), "error", err)
		return e
	}
	if r.refused.log(s.ID(), func(n int) { r.logger(s).Warn("events refused, not logged one by one", "count", n) }) {
		r.logger(s).Info("event refused", "event", shorten(event), "code", e.Code, "reason", e.Message)
	}
	return e
}

// logger returns a logger of lines about a session.
func (r *Router) logger(s Session) *slog.Logger {
	return r.opts.Logger.With("namespace", r.namespace, "session", s.ID()).With(s.Identity().LogAttrs()...)
}

// shorten keeps what a client made up from filling logs.
func shorten(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// suggest returns a hint at the event that was probably meant.
func (r *Router) suggest(event string) string {
	if r.opts.Emitted != nil && r.opts.Emitted(r.namespace, event) {
		return ": it is sent by the server, not to it"
	}
	name := nearest.To(event, slices.Collect(maps.Keys(r.routes)), 3)
	if name == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", name)
}
