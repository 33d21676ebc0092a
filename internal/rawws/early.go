package rawws

import (
	"sync"

	"github.com/roomcast/roomcast/events"
)

// early keeps what is for a client that has not shown which dialect it speaks:
// if it only listens, it gets that when this is noticed. The zero value keeps
// nothing. Methods may be called concurrently.
type early struct {
	mu      sync.Mutex
	on      bool
	notices []Notice
	bytes   int
	lost    bool // there was more than is kept
}

// maxEarly and maxEarlyBytes bound what is kept.
const (
	maxEarly      = 64
	maxEarlyBytes = 256 << 10
)

// keep takes a notice, and reports whether it did.
func (e *early) keep(n Notice) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case !e.on:
		return false
	case len(e.notices) == maxEarly, e.bytes+len(n.Payload) > maxEarlyBytes:
		e.lost = true
	default:
		e.notices = append(e.notices, n)
		e.bytes += len(n.Payload)
	}
	return true
}

func (e *early) start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.on = true
}

// take returns what was kept, and whether there was more. When there is nothing
// any more, nothing is kept any more.
func (e *early) take() (notices []Notice, lost bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	notices, e.notices = e.notices, nil
	e.on = e.on && len(notices) > 0
	return notices, e.lost
}

// stop drops what was kept, and reports whether anything would have been.
func (e *early) stop() (was bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	was = e.on
	e.on, e.notices = false, nil
	return was
}

// listenEarly has the client hear from now on what the dialect service tells
// unasked.
func (c *Conn) listenEarly() {
	if c.speaker != nil || !c.open(c.identity) {
		return
	}
	c.early.start()
	for _, room := range c.session.unasked() {
		c.session.Join(room)
	}
}

// unasked are the rooms of what is for the user, and for all of the tenants.
func (s *Session) unasked() []events.Room {
	user := s.Identity().User
	return append(
		s.inTenants(func(tenant string) events.Room { return events.UserRoom(tenant, user) }),
		s.inTenants(events.TenantRoom)...,
	)
}

// heardEarly tells the client what was for it before it was known what it
// speaks. To others than those of the dialect service nothing was.
func (c *Conn) heardEarly(speaker Speaker) {
	notices, lost := c.early.take()
	for ; len(notices) > 0; notices, lost = c.early.take() {
		for _, n := range notices {
			c.tell(speaker, n)
		}
	}
	if lost {
		speaker.Refuse(frame{}, events.Errorf(events.CodeInternal, "some of what was for you before you said anything is lost"))
	}
}
