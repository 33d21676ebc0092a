package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/websocket"
)

// A Server is the http.Handler of an Engine.IO endpoint. It may be mounted
// at any path.
type Server struct {
	opts  Options
	ws    *websocket.Server
	wheel *wheel

	dropped atomic.Int64 // volatile messages that were not sent

	work     counter // goroutines started by Conn.Go
	sessions counter // sessions that have not been told of their end

	mu      sync.Mutex
	conns   map[string]*Conn
	leaving map[string]*Conn // ended, but for a last answer to a poll
	opened  int64
	closed  map[Reason]int64
	closing bool
}

var _ http.Handler = (*Server)(nil)

// NewServer returns a Server. Nothing runs before [Server.Run].
func NewServer(opts Options) *Server {
	opts = opts.withDefaults()
	return &Server{
		opts:    opts,
		wheel:   newWheel(opts.PingInterval, opts.PingTimeout),
		ws:      websocket.NewServer(websocket.Options{MaxMessage: opts.MaxPayload, SendLimit: opts.SendLimit, Compress: opts.Compress}),
		conns:   make(map[string]*Conn),
		leaving: make(map[string]*Conn),
		closed:  make(map[Reason]int64),
	}
}

// Silence is how long the client of an open connection can have said nothing:
// within it a ping was sent and answered.
func (s *Server) Silence() time.Duration { return s.opts.PingInterval + s.opts.PingTimeout }

// Run keeps the heartbeats until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { s.ws.Run(ctx) })
	s.wheel.run(ctx)
	running.Wait()
	return nil
}

// Close refuses new connections, closes those there are and waits until
// their sessions know and their work is done. When ctx ends it waits for
// clients no longer, and it is an error if work is not done even then.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	for _, c := range s.leaving {
		time.AfterFunc(lastFarewellTime, func() { s.dismiss(c) })
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.Close(ReasonShutdown)
	}
	done := make(chan struct{})
	go func() {
		s.sessions.wait()
		s.work.wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	// Clients that do not answer are left; handlers that do not return are an
	// error.
	for _, c := range conns {
		if ws := c.ws.Load(); ws != nil {
			ws.Abort()
		}
	}
	select {
	case <-done:
		return nil
	case <-time.After(abortTime):
		return ctx.Err()
	}
}

// abortTime is how long it may take to notice connections that were aborted.
const abortTime = 500 * time.Millisecond

// Len returns the number of connections.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Stats are the numbers of a server. Those but Connections and Queued count
// since it was made.
type Stats struct {
	Connections     map[string]int // by transport
	Queued          int            // bytes that clients have not fetched
	Opened          int64
	Closed          map[Reason]int64
	VolatileDropped int64 // messages, each for one client
}

// Stats returns the numbers of now. It looks at every connection.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	conns := make([]*Conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	stats := Stats{
		Connections: map[string]int{"polling": 0, "websocket": 0},
		Opened:      s.opened, Closed: maps.Clone(s.closed), VolatileDropped: s.dropped.Load(),
	}
	s.mu.Unlock()
	for _, c := range conns {
		stats.Connections[c.Transport()]++
		stats.Queued += c.Queued()
	}
	return stats
}

// A refusal is the body of an answer that the protocol has no packet for.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	status  int
}

// The refusals, with the codes that clients know.
var (
	unknownTransport = &refusal{0, "Transport unknown", http.StatusBadRequest}
	unknownSession   = &refusal{1, "Session ID unknown", http.StatusBadRequest}
	badMethod        = &refusal{2, "Bad handshake method", http.StatusBadRequest}
	badRequest       = &refusal{3, "Bad request", http.StatusBadRequest}
	badVersion       = &refusal{5, "Unsupported protocol version", http.StatusBadRequest}
	tooBig           = &refusal{3, "Payload too big", http.StatusRequestEntityTooLarge}
	stopping         = &refusal{3, "Server is shutting down", http.StatusServiceUnavailable}
)

func forbidden(why string) *refusal { return &refusal{4, why, http.StatusForbidden} }

func (s *Server) refuse(w http.ResponseWriter, why *refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(why.status)
	json.NewEncoder(w).Encode(why)
}

// ServeHTTP answers one request of the protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.cors(w, r) {
		return
	}
	if s.opts.Headers != nil {
		s.opts.Headers(w.Header(), r)
	}
	if why := s.serve(w, r); why != nil {
		s.refuse(w, why)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) *refusal {
	query := r.URL.Query()
	transport := query.Get("transport")
	switch {
	case transport == "websocket" && !s.opts.DisableWebSocket:
	case transport == "polling" && !s.opts.DisablePolling:
	default:
		return unknownTransport
	}
	sid := query.Get("sid")
	if sid == "" {
		return s.handshake(w, r, transport)
	}
	c := s.find(sid)
	switch {
	case c == nil:
		return unknownSession
	case transport == "websocket":
		return s.upgrade(w, r, c)
	case r.Method == http.MethodGet:
		return c.servePoll(w, r)
	case r.Method == http.MethodPost:
		return c.servePost(w, r)
	}
	return badRequest
}

func (s *Server) find(sid string) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.conns[sid]; c != nil {
		return c
	}
	return s.leaving[sid]
}

// handshake opens a connection.
func (s *Server) handshake(w http.ResponseWriter, r *http.Request, transport string) *refusal {
	query := r.URL.Query()
	c := &Conn{srv: s, id: newID()}
	switch query.Get("EIO") {
	case "4":
		c.proto = 4
	case "3":
		c.proto = 3
		if !s.opts.AllowEIO3 {
			return badVersion
		}
	default:
		return badVersion
	}
	switch {
	case r.Method != http.MethodGet:
		return badMethod
	case query.Has("j"):
		return &refusal{3, "JSONP polling is not supported", http.StatusBadRequest}
	}
	if s.opts.Allow != nil {
		if err := s.opts.Allow(r); err != nil {
			return forbidden(err.Error())
		}
	}
	if s.opts.InitialHeaders != nil {
		s.opts.InitialHeaders(w.Header(), r)
	}
	if s.opts.Cookie != nil {
		cookie := *s.opts.Cookie
		cookie.Value = c.id
		http.SetCookie(w, &cookie)
	}
	if transport == "websocket" {
		return s.openWebSocket(w, r, c)
	}
	return s.openPolling(w, r, c)
}

// newID returns 120 random bits: knowing the id is being the client.
func newID() string {
	var b [15]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// openPacket is the answer to a handshake.
func (c *Conn) openPacket(upgrades []string) []byte {
	b, _ := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{c.id, upgrades, c.srv.opts.PingInterval.Milliseconds(), c.srv.opts.PingTimeout.Milliseconds(), c.srv.opts.MaxPayload})
	return control(packetOpen, string(b))
}

// register makes a connection known, unless the server is closing.
func (s *Server) register(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[c.id] = c
	s.opened++
	s.sessions.add()
	s.wheel.add(c)
	return true
}

// forget removes a connection that has ended. With farewell there is one more
// thing to say to the client's next poll, if it comes soon.
func (s *Server) forget(c *Conn, reason Reason, farewell bool) {
	s.wheel.remove(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
	s.closed[reason]++
	if farewell {
		s.leaving[c.id] = c
		s.work.add()
		wait := farewellTime
		if s.closing {
			wait = lastFarewellTime
		}
		time.AfterFunc(wait, func() { s.dismiss(c) })
	}
}

// farewellTime is how long a connection that has ended is remembered for a
// poll that is on its way; lastFarewellTime the same while the server closes.
const (
	farewellTime     = 5 * time.Second
	lastFarewellTime = 300 * time.Millisecond
)

func (s *Server) dismiss(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving[c.id] == c {
		delete(s.leaving, c.id)
		s.work.done()
	}
}

func (s *Server) openWebSocket(w http.ResponseWriter, r *http.Request, c *Conn) *refusal {
	remote := r.RemoteAddr
	ws, buffered, err := s.ws.Upgrade(w, r, upgradeHeader(w))
	if err != nil {
		return nil // the answer has been written
	}
	c.remote = remote
	c.ws.Store(ws)
	if !s.register(c) {
		ws.Close(websocket.StatusGoingAway, string(ReasonShutdown))
		ws.Start(discard{}, nil)
		return nil
	}
	if c.proto == 3 {
		// Programs of that time begin to listen when they are told that the
		// WebSocket is open: the first packet must not come with that news.
		ws.Flush()
		time.Sleep(openDelay)
	}
	ws.Send(c.openPacket([]string{}))
	c.opened(s.opts.Open(c, r))
	ws.Start((*wsHandler)(c), buffered)
	return nil
}

const openDelay = 2 * time.Millisecond

// upgradeHeader returns the headers gathered so far: a hijacked connection
// loses them otherwise.
func upgradeHeader(w http.ResponseWriter) http.Header {
	if len(w.Header()) == 0 {
		return nil
	}
	return w.Header()
}

func (s *Server) openPolling(w http.ResponseWriter, r *http.Request, c *Conn) *refusal {
	c.poll = &polling{wake: make(chan struct{}, 1), format: pollFormat(c.proto, r)}
	c.remote = r.RemoteAddr
	upgrades := []string{"websocket"}
	if s.opts.DisableWebSocket {
		upgrades = []string{}
	}
	if !s.register(c) {
		return stopping
	}
	c.mu.Lock()
	c.pendLocked(c.openPacket(upgrades))
	c.mu.Unlock()
	c.opened(s.opts.Open(c, r))
	return c.servePoll(w, r)
}
