package socketio

import (
	"context"
	"errors"
	"fmt"

	libparser "github.com/zishang520/socket.io-go-parser/v2/parser"
	"github.com/zishang520/socket.io/v2/socket"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/namespaces"
)

// The library finishes a CONNECT on a goroutine of its own and would handle a
// DISCONNECT on another: sent quickly one after the other they would meet in
// the middle. So each connection has one thing done at a time, and waits until
// the library is done with it before it goes on to the next.

// control is one thing for the library to do.
type control struct {
	session *Session
	connect bool // enter the namespace, else leave it
	hello   bool // the connection itself is new, and enters "/" by being so
}

// control queues c and makes sure that somebody works on it. The reader of the
// connection does not: the library's stack is deep, and a reader's is kept for
// as long as the connection lives. Who revokes or renews an identity calls it
// too, beside the reader: one more message may then follow the Hold.
func (l *link) control(c control) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	l.controls = append(l.controls, c)
	if len(l.controls) == maxControls {
		l.holding = true
		l.conn.Hold()
	}
	if !l.busy {
		l.busy = true
		l.conn.Go(l.runControls)
	}
}

// maxControls is how much may wait for the library before the connection is
// no longer read.
const maxControls = 16

func (l *link) runControls() {
	for {
		l.mu.Lock()
		if len(l.controls) == 0 || l.over {
			l.busy, l.controls, l.settling = false, nil, nil
			l.mu.Unlock()
			return
		}
		c := l.controls[0]
		l.controls = l.controls[1:]
		if l.holding && len(l.controls) < maxControls/2 {
			l.holding = false
			l.conn.Release()
		}
		if c.connect || c.hello {
			l.settling = c.session
		}
		l.mu.Unlock()
		l.perform(c)
	}
}

func (l *link) perform(c control) {
	switch {
	case c.hello:
		l.srv.seam.connection(&l.lib)
	case c.connect:
		l.lib.receive(&libparser.Packet{Type: libparser.CONNECT, Nsp: c.session.namespace})
	default:
		l.leave(c.session)
		return
	}
	c.session.await(stateOpen)
}

// leave takes a session out of its namespace as its client has asked. Only the
// library's own way of doing so is synchronous; it also tells the client, who
// does not expect to be told.
func (l *link) leave(s *Session) {
	s.mu.Lock()
	sock := s.sock
	s.mu.Unlock()
	if sock == nil {
		return // refused
	}
	l.setMuted(s.namespace)
	sock.Disconnect(false)
	l.setMuted("")
}

func (l *link) setMuted(namespace string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.muted = namespace
}

// admit is the library's middleware: it decides whether the client may enter
// the namespace, and if so ties the socket to its session.
func (sp *space) admit(sock *socket.Socket, next func(*socket.ExtendedError)) {
	l := sock.Conn().(*libConn).link
	l.mu.Lock()
	s := l.settling
	l.mu.Unlock()
	if s == nil || s.namespace != sp.Name {
		next(socket.NewExtendedError("server is shutting down", nil))
		return
	}
	if s.internal && !sp.Internal(s.handshake) {
		next(socket.NewExtendedError("Invalid namespace", nil))
		return
	}
	identity, err := sp.srv.identify(sp, s)
	if err != nil {
		next(refusal(err))
		return
	}
	var r *resumption
	s.guard("resuming", func() { r = sp.resume(context.Background(), s, identity) })
	if !s.bind(sp, string(sock.Id()), identity, r) {
		next(socket.NewExtendedError("connection closed", nil))
		return
	}
	next(nil)
}

// itself is the identity of the server's own sessions. It has no rights.
var itself = &auth.Identity{User: "server"}

// identify verifies the credential of a session and asks the namespace.
func (srv *Server) identify(sp *space, s *Session) (*auth.Identity, error) {
	if s.internal {
		s.link.conn.Uncount()
		return itself, nil
	}
	request := s.link.credential
	if !s.credential.IsZero() {
		request = s.credential
	}
	request = request.From(s.link.conn.RemoteIP()) // failures are counted by it
	var identity *auth.Identity
	err := errPanicked
	s.guard("admitting", func() {
		identity, err = srv.opts.Authenticate(context.Background(), auth.FromHandshake(s.handshake, request))
		if err == nil && sp.Admit != nil {
			err = sp.Admit(identity)
		}
	})
	if err != nil {
		e, meant := events.Public(err)
		log := srv.opts.Logger.With("namespace", sp.Name, "address", s.link.conn.RemoteIP()).With(identity.LogAttrs()...)
		if meant {
			log.Info("session refused", "code", e.Code, "reason", e.Message)
		} else {
			log.Error("authentication failed", "error", err)
		}
		return nil, err
	}
	return identity, nil
}

// refusal is what a client gets as connect_error: data holds the code.
func refusal(err error) *socket.ExtendedError {
	e, _ := events.Public(err)
	return socket.NewExtendedError(e.Message, e)
}

// joined is called by the library when a socket is in the namespace and its
// client has been told so.
func (sp *space) joined(args ...any) {
	sock := args[0].(*socket.Socket)
	forgetHandshake(sock)
	s := sp.sessions.findByLibrary(string(sock.Id()))
	if s != nil {
		s.open(sock)
	}
	if s == nil || s.link.ended() {
		// The library joins on a goroutine of its own, which may be late: the
		// connection has ended and taken no notice of this socket.
		sock.Disconnect(false)
	}
}

// forgetHandshake drops the copies that the library keeps of the request.
func forgetHandshake(sock *socket.Socket) {
	h := sock.Handshake()
	h.Headers, h.Query, h.Auth, h.Time, h.Url = nil, nil, nil, "", ""
}

var errPanicked = errors.New("socketio: authentication panicked")

var errEnded = fmt.Errorf("socketio: %w", namespaces.ErrEnded)
