package socketio

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/engineio"
)

// A link is one connection and the sessions that it carries.
type link struct {
	srv  *Server
	conn *engineio.Conn
	lib  libConn
	// credential came with the HTTP request, for namespaces that get none of
	// their own.
	credential auth.Credential
	// assembling is the packet whose attachments are arriving. Owned by the
	// goroutine that delivers messages.
	assembling *assembly

	mu       sync.Mutex
	sessions []*Session // by namespace; at most one each
	left     []string   // namespaces whose session the server has ended
	controls []control  // waiting for the library
	busy     bool       // a goroutine is working through controls
	holding  bool       // the connection takes nothing in: too much waits for the library
	settling *Session   // the session whose CONNECT the library is handling
	muted    string     // the namespace whose DISCONNECT is not sent
	over     bool
	refusals int           // how often it was; owned by who works through controls
	gone     chan struct{} // closed when the connection has ended
}

var _ engineio.Session = (*link)(nil)

// open is called by the engine for every new connection.
func (s *Server) open(c *engineio.Conn, r *http.Request) engineio.Session {
	l := &link{srv: s, conn: c, gone: make(chan struct{})}
	l.lib.link = l
	l.credential = auth.FromRequest(r.Header, r.URL.Query())
	if c.Protocol() == 3 {
		// Clients of version 2 are in "/" without asking.
		session := l.begin("/", nil)
		l.control(control{session: session, hello: true})
		return l
	}
	s.seam.connection(&l.lib)
	return l
}

// Message takes in one message of the client.
func (l *link) Message(t *engineio.Turn, data []byte, binary bool) {
	err := l.message(t, data, binary)
	if err == nil {
		return
	}
	if t != nil { // to log may take long
		t.Begin()
		defer t.End()
	}
	l.refuse(err)
}

// refuse ends a connection whose client does not follow the protocol.
func (l *link) refuse(err error) {
	l.srv.opts.Logger.Info("connection refused", "reason", err.Error(), "address", l.conn.RemoteIP(), "transport", l.conn.Transport())
	l.conn.Close(engineio.ReasonParseError)
}

// maxRefusals is how often a connection may be refused a namespace.
const maxRefusals = 32

var errRefusals = errors.New("refused too often")

var errState = errors.New("packet for a namespace that was not entered")

func (l *link) message(t *engineio.Turn, data []byte, binary bool) error {
	p, attachments, err := l.assemble(data, binary)
	if err != nil || p == nil {
		return err
	}
	namespace := l.name(*p)
	s := l.find(namespace)
	switch p.kind {
	case typeConnect:
		_, query, _ := bytes.Cut(p.namespace[len(namespace):], []byte{'?'})
		return l.connect(s, string(namespace), query, p.data)
	case typeConnectError:
		return malformed("CONNECT_ERROR from a client")
	}
	if s == nil {
		return l.stateError(namespace)
	}
	switch p.kind {
	case typeDisconnect:
		s.leaving()
		l.forget(s)
		l.control(control{session: s})
		return nil
	case typeEvent, typeBinaryEvent:
		name, args, err := eventArgs(p.data, l.srv.names)
		if err != nil {
			return err
		}
		if !s.internal {
			l.srv.received.Add(1)
		}
		size := len(p.data)
		for _, a := range attachments {
			size += len(a)
		}
		s.take(t, event{Event: Event{name, args, attachments, p.hasID}, id: p.id, size: size})
		return nil
	default:
		return s.acknowledged(p, attachments)
	}
}

// stateError is what a packet for a namespace without a session leads to.
func (l *link) stateError(namespace []byte) error {
	if l.wasEnded(namespace) {
		return nil
	}
	return errState
}

// name returns the namespace of a packet without the query that clients of
// version 2 put behind it.
func (l *link) name(p packet) []byte {
	if l.conn.Protocol() != 3 {
		return p.namespace
	}
	name, _, _ := bytes.Cut(p.namespace, []byte{'?'})
	return name
}

// connect begins a session, unless there is one.
func (l *link) connect(s *Session, namespace string, query, data []byte) error {
	if s != nil {
		if l.conn.Protocol() == 3 && namespace == "/" {
			return nil // it is there without asking
		}
		return malformed("namespace entered twice")
	}
	switch {
	case len(namespace) > maxNamespace:
		return malformed("name of the namespace is too long")
	case len(query) > maxHandshake || len(data) > maxHandshake:
		return malformed("payload of CONNECT is too long")
	case data != nil && (data[0] != '{' || !validJSON(data)):
		return malformed("payload of CONNECT is not an object")
	}
	if s = l.begin(namespace, data); s == nil {
		return nil // the connection has ended
	}
	if len(query) > 0 {
		s.credential = queryCredential(query)
	}
	l.control(control{session: s, connect: true})
	return nil
}

// maxNamespace bounds the name of a namespace, maxHandshake what a CONNECT
// brings, in bytes.
const (
	maxNamespace = 128
	maxHandshake = 64 << 10
)

// find returns the session in a namespace, nil if there is none.
func (l *link) find(namespace []byte) *Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		if s.namespace == string(namespace) {
			return s
		}
	}
	return nil
}

// begin registers a session that the library has not seen yet, so that the
// events which follow its CONNECT have where to wait. It returns nil if the
// connection has ended: nobody would end the session.
func (l *link) begin(namespace string, data []byte) *Session {
	s := newSession(l, namespace, bytes.Clone(data))
	s.recoverable = l.srv.recovers(namespace, l.conn.Protocol())
	s.internal = l.srv.internal(namespace)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return nil
	}
	l.left = slices.DeleteFunc(l.left, func(name string) bool { return name == namespace })
	l.sessions = append(l.sessions, s)
	return s
}

// forget makes a namespace enterable again.
func (l *link) forget(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetLocked(s)
}

// forgetLocked reports whether the session was there.
func (l *link) forgetLocked(s *Session) bool {
	i := slices.Index(l.sessions, s)
	if i < 0 {
		return false
	}
	l.sessions = slices.Delete(l.sessions, i, i+1)
	return true
}

// wrote is called with every packet that the library sends: the answers to
// CONNECT, and DISCONNECT.
func (l *link) wrote(b []byte) {
	p, err := decodePacket(b)
	if err != nil {
		return
	}
	l.mu.Lock()
	settling := l.settling
	muted := p.kind == typeDisconnect && string(p.namespace) == l.muted
	l.mu.Unlock()
	if muted {
		return
	}
	switch {
	case settling == nil:
	case p.kind == typeConnect:
		settling.accept()
		b = settling.welcome(b)
	case p.kind == typeConnectError:
		l.refusals++
		if l.refusals > maxRefusals {
			l.refuse(errRefusals)
			return
		}
		settling.refused()     // before the client knows, and may try again
		if settling.internal { // as the library says of namespaces that are not there
			b = append(appendHeader(nil, typeConnectError, 0, settling.namespace, false, 0), `{"message":"Invalid namespace"}`...)
		}
	}
	l.conn.Reply(nil, b)
}

// Closed is called by the engine when the connection has ended.
func (l *link) Closed(reason engineio.Reason) {
	l.mu.Lock()
	l.over = true
	sessions := append([]*Session(nil), l.sessions...)
	l.mu.Unlock()
	close(l.gone)
	l.lib.closed(reason)
	for _, s := range sessions {
		s.end(true)
	}
}

func (l *link) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.over
}

// queryCredential finds the credential in the query of a namespace, where
// clients of version 2 put it.
func queryCredential(query []byte) auth.Credential {
	r, err := http.NewRequest(http.MethodGet, "/?"+strings.TrimSpace(string(query)), nil)
	if err != nil {
		return auth.Credential{}
	}
	return auth.FromRequest(r.Header, r.URL.Query())
}
