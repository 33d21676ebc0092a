// Package rest is the HTTP API: workflows and runs, conversations, listeners, API keys and
// revocations, and who one is.
// It shares services, identities and errors with the events.
package rest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/bridge"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/internal/listener"
	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/publish"
	"github.com/roomcast/roomcast/internal/workflow"
	"github.com/roomcast/roomcast/internal/workflow/external"
	"github.com/roomcast/roomcast/internal/workflow/graph"
)

// Options configure an [API].
type Options struct {
	Authenticate func(ctx context.Context, c auth.Credential) (*auth.Identity, error)
	Workflows    *workflow.Service
	// External takes reports of runs that go on elsewhere.
	External    *external.Engine
	Chat        *chat.Service
	Listeners   *listener.Service
	Widgets     bridge.Widgets
	Keys        *identity.Keys
	Revocations *identity.Revocations
	Logger      *slog.Logger
	// Once does requests that have a key.
	Once *once.Service
	// Timeout bounds those, and waiting for one that is being done. Default
	// 10 s.
	Timeout time.Duration
	Publish *publish.Service
	Turn    meet.Turn
	// MaxBody bounds a request's body in bytes, MaxPublish that of what is
	// published.
	MaxBody, MaxPublish int64
}

// An API is the http.Handler of everything below /api/v1/, and of
// [DocumentedTurnPath].
type API struct {
	opts     Options
	mux      *http.ServeMux
	stopping context.Context // ends when nobody may wait any more
	stop     context.CancelFunc
}

// New returns the API.
func New(opts Options) *API {
	if opts.Timeout <= 0 {
		opts.Timeout = 10 * time.Second
	}
	a := &API{opts: opts, mux: http.NewServeMux()}
	a.stopping, a.stop = context.WithCancel(context.Background())
	a.handle("GET /api/v1/me", a.me)
	a.workflowRoutes()
	a.runRoutes()
	a.externalRoutes()
	a.chatRoutes()
	a.listenerRoutes()
	a.identityRoutes()
	a.handle(publishPattern, a.publish)
	a.meetRoutes()
	a.mux.HandleFunc("/api/v1/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, nil, events.Errorf(events.CodeNotFound, "there is no %s %s", r.Method, r.URL.Path))
	})
	return a
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// request is an authenticated request.
type request struct {
	*http.Request
	id  *auth.Identity
	max int64
	w   http.ResponseWriter
}

// tenant is the tenant in the path.
func (r *request) tenant() string { return r.PathValue("tenant") }

// read reads the body. One that says that it is too large is not read at all.
func (r *request) read() ([]byte, error) {
	if r.ContentLength > r.max {
		return nil, events.Errorf(events.CodeTooLarge, "the body is larger than %d bytes", r.max)
	}
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, r.max))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, events.Errorf(events.CodeTooLarge, "the body is larger than %d bytes", over.Limit)
	case err != nil:
		return nil, events.Errorf(events.CodeInvalidRequest, "the body could not be read")
	}
	return body, nil
}

// decode reads the body, which must be one JSON value of the right shape.
func (r *request) decode(v any) error {
	body, err := r.read()
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		body = []byte("{}")
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bodyError(err)
	}
	if d.More() {
		return events.FieldErrorf("body", "holds more than one value")
	}
	return nil
}

// bodyError names the field that could not be decoded.
func bodyError(err error) error {
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		path := t.Field
		if path == "" {
			path = "body"
		}
		return events.FieldErrorf(path, "got %s, want %s", t.Value, jsonType(t.Type))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return events.FieldErrorf(strings.Trim(name, `"`), "is not a field of this request")
	}
	return events.FieldErrorf("body", "is not JSON: %v", err)
}

// jsonType is what JSON calls a Go type.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice, reflect.Array:
		return "array"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	}
	return "number"
}

// created is a result that is answered with 201.
type created struct{ value any }

// handle registers a handler for authenticated requests. Its result is sent
// as JSON, its error as {"error": {code, message, field}}.
func (a *API) handle(pattern string, fn func(r *request) (any, error)) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		id, err := a.opts.Authenticate(r.Context(), auth.FromRequest(r.Header, nil).From(address(r)))
		if err != nil {
			a.fail(w, r, nil, err)
			return
		}
		out, err := a.perform(pattern, &request{r.WithContext(auth.NewContext(r.Context(), id)), id, a.opts.MaxBody, w}, fn)
		if err != nil {
			a.fail(w, r, id, err)
			return
		}
		send(w, out.Status, out.Body)
	})
}

// address is where a request came from, by way of trusted proxies.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// unauthorized are the codes of credentials that were not accepted.
var unauthorized = []events.Code{
	events.CodeTokenNotFound, events.CodeTokenExpired, events.CodeTokenInvalid, events.CodeTokenTooLarge,
	events.CodeTokenAlgorithm, events.CodeTokenSignature, events.CodeTokenKey, events.CodeTokenIssuer,
	events.CodeTokenAudience, events.CodeTokenNotYet, events.CodeTokenClaims, events.CodeCredentialRevoked,
	events.CodeInvalidAPIKey,
}

// status is the HTTP status of an error code.
func status(code events.Code) int {
	if slices.Contains(unauthorized, code) {
		return http.StatusUnauthorized
	}
	if s, ok := statuses[code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// statuses are the HTTP statuses of the other codes.
var statuses = map[events.Code]int{
	events.CodeValidation:       http.StatusBadRequest,
	events.CodeInvalidRequest:   http.StatusBadRequest,
	events.CodeNotFound:         http.StatusNotFound,
	events.CodePermissionDenied: http.StatusForbidden,
	events.CodeInvalidUser:      http.StatusForbidden,
	events.CodeConflict:         http.StatusConflict,
	events.CodeTooLarge:         http.StatusRequestEntityTooLarge,
	events.CodeTimeout:          http.StatusGatewayTimeout,
	events.CodeTooManyFailures:  http.StatusTooManyRequests,
	events.CodeTooManyRuns:      http.StatusTooManyRequests,
	events.CodeAuthUnavailable:  http.StatusServiceUnavailable,
	events.CodeTemporal:         http.StatusServiceUnavailable,
}

// fail answers with an error, and logs it as one of the caller's tenant if id
// has only one.
func (a *API) fail(w http.ResponseWriter, r *http.Request, id *auth.Identity, err error) {
	e, meant := events.Public(err)
	log := a.opts.Logger.With("method", r.Method, "path", r.URL.Path, "address", address(r)).With(id.LogAttrs()...)
	if meant {
		log.Info("request refused", "code", e.Code, "reason", e.Message)
	} else {
		log.Error("request failed", "error", err)
	}
	status := status(e.Code)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="roomcast"`)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	if status == http.StatusRequestEntityTooLarge {
		rc := http.NewResponseController(w)
		rc.EnableFullDuplex() // else the server would read first, and then answer
		defer discard(rc, r)
		w.Header().Set("Connection", "close")
	}
	send(w, status, map[string]any{"error": problem{e, graph.AllProblems(err), expected(err)}})
}

// problem is an error as it is sent. Problems are all that is wrong with a
// definition; the error is about the first. Expected is the sequence that a
// report must go on with.
type problem struct {
	*events.Error
	Problems graph.Problems `json:"problems,omitempty"`
	Expected uint64         `json:"expected,omitempty"`
}

// What is read of a body that is too large after it was refused.
const (
	discardBytes = 64 << 20
	discardTime  = 5 * time.Second
)

// discard takes in the rest of a body that is too large. A connection that is
// closed while its client still sends takes the answer with it.
func discard(rc *http.ResponseController, r *http.Request) {
	if r.Header.Get("Expect") != "" {
		return // the client waits to be told, and has been
	}
	rc.Flush()
	rc.SetReadDeadline(time.Now().Add(discardTime))
	io.CopyN(io.Discard, r.Body, discardBytes)
}

// me says who the caller is.
func (a *API) me(r *request) (any, error) {
	return map[string]any{
		"userID": r.id.User, "tenants": r.id.Tenants, "permissions": r.id.Permissions, "method": r.id.Method,
	}, nil
}
