package rawws

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/internal/waitgroup"
	"github.com/roomcast/roomcast/internal/websocket"
	"github.com/roomcast/roomcast/namespaces"
)

// Options configure a [Server].
type Options struct {
	// Dialects are those that are spoken; there is at least one.
	Dialects []Dialect
	// Default is who answers frames that are of no dialect; if it is not spoken, the first.
	Default Name
	// Authenticate verifies a credential; the error, an *events.Error, is for
	// the client.
	Authenticate func(ctx context.Context, c auth.Credential) (*auth.Identity, error)
	// Namespace is where clients are, and Dispatcher takes their events to its
	// handlers.
	Namespace  namespaces.Namespace
	Dispatcher socketio.Dispatcher
	// Guest lets a client into the rooms of the namespace.
	Guest func(receive func(socketio.Delivery)) (*socketio.Guest, error)
	// Origin decides whether a page may connect; nil lets all.
	Origin func(origin string, r *http.Request) bool
	Limits Limits
	Logger *slog.Logger
}

// A Server is the http.Handler of all its paths. Its methods may be called
// concurrently.
type Server struct {
	opts     Options
	dialects map[Name]Dialect
	ws       *websocket.Server
	address  addresses
	working  sync.WaitGroup // handling of frames, and ends of connections

	mu      sync.Mutex
	conns   map[*Conn]struct{}
	refuses bool
	round   int // of the watch
}

var _ http.Handler = (*Server)(nil)

// New returns a Server. Nothing runs before [Server.Run].
func New(opts Options) *Server {
	opts.Limits = opts.Limits.withDefaults()
	s := &Server{
		opts:     opts,
		dialects: make(map[Name]Dialect),
		ws:       websocket.NewServer(websocket.Options{MaxMessage: opts.Limits.MaxMessage, SendLimit: opts.Limits.SendLimit}),
		address:  addresses{most: opts.Limits.PerAddress},
		conns:    make(map[*Conn]struct{}),
	}
	for _, d := range opts.Dialects {
		s.dialects[d.Name] = d
	}
	if s.dialects[opts.Default].Speak == nil {
		s.opts.Default = opts.Dialects[0].Name
	}
	return s
}

// Run keeps connections alive, and ends those that say nothing, until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { s.ws.Run(ctx) })
	s.watch(ctx)
	running.Wait()
	return nil
}

// ServeHTTP answers a handshake.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if origin := r.Header.Get("Origin"); origin != "" && s.opts.Origin != nil && !s.opts.Origin(origin, r) {
		refuse(w, http.StatusForbidden, events.Errorf(events.CodeOrigin, "pages of %q may not use this server: add it to server.allowedOrigins", origin))
		return
	}
	choice, protocol, wrong := s.byRequest(r)
	if wrong != nil {
		status := http.StatusBadRequest
		if wrong.Code == events.CodeNotFound {
			status = http.StatusNotFound
		}
		refuse(w, status, wrong)
		return
	}
	if e := websocket.CheckHandshake(r); e != nil {
		maps.Copy(w.Header(), e.Header)
		refuse(w, e.Status, events.Errorf(events.CodeInvalidRequest, "%s", e.Reason))
		return
	}
	address := remoteIP(r)
	if !s.address.enter(address) {
		w.Header().Set("Retry-After", strconv.Itoa(busyTime))
		refuse(w, http.StatusTooManyRequests, &events.Error{
			Code: events.CodeRateLimited, RetryAfter: busyTime,
			Message: fmt.Sprintf("your address has %d connections already: close one, or raise websocket.perAddress", s.opts.Limits.PerAddress),
		})
		return
	}
	query := r.URL.Query()
	c := &Conn{srv: s, address: address}
	c.name(r.URL.Path, query)
	c.seen.Store(time.Now().UnixNano())
	c.identity, c.authErr = s.authenticate(r.Context(), auth.FromRequest(r.Header, query), address)
	if d := s.dialects[choice.dialect]; choice.by == "path" && d.Auth == AuthRefuse && c.identity == nil {
		s.address.leave(address)
		refuseClient(w, c.unidentified())
		return
	}
	if !s.admit() {
		s.address.leave(address)
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, events.Errorf(events.CodeConflict, "the server is stopping: connect again in a moment"))
		return
	}
	var header http.Header
	if protocol != "" {
		header = http.Header{"Sec-WebSocket-Protocol": {protocol}}
	}
	ws, buffered, err := s.ws.Upgrade(w, r, header)
	if err != nil {
		s.remove(c)
		return
	}
	c.ws = ws
	c.start(choice, buffered)
}

// name notes what the address names. The rest of it, with the token, is not
// kept.
func (c *Conn) name(path string, query url.Values) {
	c.meeting = strings.Clone(meetingOf(path))
	c.tenant = strings.Clone(cmp.Or(query.Get("tenant"), query.Get("org_id")))
	if dialect, _ := byPath(path); dialect == Meet {
		c.tenant = strings.Clone(query.Get("tenant_id"))
	}
}

// busyTime is in how many seconds an address may try again that has too many
// connections.
const busyTime = 5

// authenticate returns who a client at an address is, nil if it did not say, or
// why it is not.
func (s *Server) authenticate(ctx context.Context, credential auth.Credential, address string) (*auth.Identity, *events.Error) {
	if credential.IsZero() {
		return nil, nil
	}
	id, err := s.opts.Authenticate(ctx, credential.From(address))
	if err == nil && s.opts.Namespace.Admit != nil {
		err = s.opts.Namespace.Admit(id)
	}
	if err != nil {
		e, meant := events.Public(err)
		log := s.opts.Logger.With("transport", "websocket", "address", address).With(id.LogAttrs()...)
		if meant {
			log.Info("client refused", "code", e.Code, "reason", e.Message)
		} else {
			log.Error("authentication failed", "error", err)
		}
		return nil, e
	}
	return id, nil
}

// admit lets a connection in, unless the server is stopping.
func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuses {
		return false
	}
	s.working.Add(1) // until it has ended
	return true
}

// add makes a connection one of those that are looked after, and reports
// whether the server has begun to stop meanwhile.
func (s *Server) add(c *Conn) (stopping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.removed { // its client may have gone already
		s.conns[c], c.round = struct{}{}, s.round
	}
	return s.refuses
}

func (s *Server) remove(c *Conn) {
	s.mu.Lock()
	c.removed = true
	delete(s.conns, c)
	s.mu.Unlock()
	s.address.leave(c.address)
	s.working.Done()
}

// all returns the connections.
func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// drainStep is the time between two of those who are sent away.
const drainStep = 10 * time.Millisecond

// Drain lets no new clients in and sends those there are away, one after the
// other within a window, so that they do not all come to other servers at once.
// It returns when all were told, or ctx ends. [Server.Close] must follow.
func (s *Server) Drain(ctx context.Context, window time.Duration) {
	s.mu.Lock()
	s.refuses = true
	s.mu.Unlock()
	list := s.all()
	if len(list) == 0 {
		return
	}
	tick := time.NewTicker(max(min(drainStep, window/time.Duration(len(list))), time.Millisecond))
	defer tick.Stop()
	for n, c := range list {
		c.dismiss()
		if n%max(1, int(time.Duration(len(list))*time.Millisecond/max(window, time.Millisecond))) != 0 {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Close ends all connections and waits until their frames have been handled, or
// ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.refuses = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.dismiss()
	}
	if waitgroup.Wait(ctx, &s.working) == nil {
		return nil
	}
	for _, c := range s.all() {
		c.End(websocket.StatusGoingAway, stopping)
		c.cancel()
		c.ws.Abort()
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	return waitgroup.Wait(last, &s.working)
}

// stopping is the reason of a close with 1001.
const stopping = "the server is stopping: connect again"

// abortTime is how long it may take to notice connections that were aborted.
const abortTime = 500 * time.Millisecond

// Stats returns how many connections there are of each dialect that is spoken;
// those that have not shown which they speak are [Undecided].
func (s *Server) Stats() map[Name]int {
	n := map[Name]int{Undecided: 0}
	for name := range s.dialects {
		n[name] = 0
	}
	for _, c := range s.all() {
		name := c.dialect()
		if name == "" {
			name = Undecided
		}
		n[name]++
	}
	return n
}

// Undecided are the connections of no dialect in [Server.Stats].
const Undecided Name = "undecided"

// refuse answers a request that does not become a connection.
func refuse(w http.ResponseWriter, status int, e *events.Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": e})
}

// refuseClient is refuse for who is not who it says, or says nothing.
func refuseClient(w http.ResponseWriter, e *events.Error) {
	status := http.StatusUnauthorized
	switch e.Code {
	case events.CodeTooManyFailures:
		status = http.StatusTooManyRequests
	case events.CodeAuthUnavailable:
		status = http.StatusServiceUnavailable
	case events.CodePermissionDenied:
		status = http.StatusForbidden
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.RetryAfter))
	}
	refuse(w, status, e)
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
