package rawws

import (
	"context"
	"time"

	"github.com/roomcast/roomcast/internal/every"
	"github.com/roomcast/roomcast/internal/websocket"
)

// rounds is in how many parts the connections are looked at within one interval
// of pings.
const rounds = 30

// watch pings every connection once in an interval, and ends those that have
// been silent for too long, or have not answered where others see who is there,
// until ctx ends.
func (s *Server) watch(ctx context.Context) {
	every.Do(ctx, max(s.opts.Limits.Ping/rounds, time.Millisecond), func(time.Time) { s.look() })
}

// look pings the connections whose turn it is.
func (s *Server) look() {
	s.mu.Lock()
	s.round = (s.round + 1) % rounds
	var due []*Conn
	for c := range s.conns {
		if c.round == s.round {
			due = append(due, c)
		}
	}
	s.mu.Unlock()
	for _, c := range due {
		dead := c.unanswered()
		switch {
		case c.silence() > s.opts.Limits.Idle:
			c.End(websocket.StatusPolicyViolation, "nothing was heard for too long")
		case dead && s.dialects[c.dialect()].Presence:
			c.End(websocket.StatusPolicyViolation, "a ping was not answered")
		default:
			c.ws.Ping(nil)
		}
	}
}
