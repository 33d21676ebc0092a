package socketio

import (
	"github.com/zishang520/socket.io/v2/socket"
)

// admitFrom is admit for credentials that know which address they came from:
// failures are counted by it.
func (sp *space) admitFrom(sock *socket.Socket, next func(*socket.ExtendedError)) {
	l := sock.Conn().(*libConn).link
	l.mu.Lock()
	s := l.settling
	l.mu.Unlock()
	if s != nil {
		sent := l.credential
		if !s.credential.IsZero() {
			sent = s.credential
		}
		s.credential = sent.From(l.conn.RemoteIP())
	}
	sp.admit(sock, next)
}
