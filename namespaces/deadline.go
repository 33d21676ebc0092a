package namespaces

import (
	"context"
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
)

// lazyDeadline is a context with a deadline whose timer exists only when
// somebody waits for it. Most handlers return before anybody does, and a
// timer costs as much as the rest of a small event.
type lazyDeadline struct {
	context.Context
	at time.Time
	id *auth.Identity // whose event it is

	mu     sync.Mutex
	real   context.Context
	cancel context.CancelFunc
	over   bool
}

// withLazyDeadline is context.WithTimeout, paid for on use.
func withLazyDeadline(parent context.Context, timeout time.Duration) *lazyDeadline {
	return &lazyDeadline{Context: parent, at: time.Now().Add(timeout)}
}

// Value implements context.Context. It carries the identity, for what
// auth.NewContext makes costs as much as the deadline.
func (c *lazyDeadline) Value(key any) any {
	if c.id != nil && auth.ContextValue(key) {
		return c.id
	}
	return c.Context.Value(key)
}

// finish is what cancels the context.
func (c *lazyDeadline) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.cancel != nil {
		c.cancel()
	}
}

// Deadline implements context.Context.
func (c *lazyDeadline) Deadline() (time.Time, bool) {
	if at, ok := c.Context.Deadline(); ok && at.Before(c.at) {
		return at, true
	}
	return c.at, true
}

// Done implements context.Context.
func (c *lazyDeadline) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.cancel = context.WithDeadline(c.Context, c.at)
		if c.over {
			c.cancel()
		}
	}
	return c.real.Done()
}

// Err implements context.Context.
func (c *lazyDeadline) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.real != nil:
		return c.real.Err()
	case c.over:
		return context.Canceled
	case time.Now().After(c.at):
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}
