// Package pace sends a long history no faster than its client takes it: page
// by page, so that what a client may have outstanding is not exceeded because
// much has happened before it came.
package pace

import (
	"context"
	"fmt"
	"time"

	"github.com/roomcast/roomcast/events"
)

// A Client takes events.
type Client interface {
	Emit(p events.Payload) error
	// Drain returns when the client has taken what was sent so far, or with an
	// error when ctx ends or the client is gone.
	Drain(ctx context.Context) error
}

// What a page holds at most. Both are well below what a client may have
// outstanding (socket.sendLimit, 1 MiB).
const (
	pageEvents = 64
	pageBytes  = 256 << 10
)

// patience is how long a client may take for one page. A slow one is not cut
// off while it goes on reading, however long all pages take together.
const patience = 30 * time.Second

// A Sender sends to one client. It is for one goroutine.
type Sender struct {
	client        Client
	ctx           context.Context
	events, bytes int // of the page so far
}

// To returns a Sender. The end of ctx does not end it, since the deadline of
// one event is not meant for thousands: the end of the client does.
func To(ctx context.Context, c Client) *Sender {
	return &Sender{client: c, ctx: context.WithoutCancel(ctx)}
}

// Emit sends an event that takes about size bytes, after waiting for the
// client if the page is full. It fails when the client does not take a page;
// an event that could not be sent for another reason is left out, and logged
// where that is noticed.
func (s *Sender) Emit(p events.Payload, size int) error {
	if s.events == pageEvents || s.events > 0 && s.bytes+size > pageBytes {
		if err := s.turn(); err != nil {
			return err
		}
	}
	s.events++
	s.bytes += size
	s.client.Emit(p)
	return nil
}

// turn waits until the client has taken the page.
func (s *Sender) turn() error {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := s.client.Drain(ctx); err != nil {
		return fmt.Errorf("waiting for the client to read: %w", err)
	}
	s.events, s.bytes = 0, 0
	return nil
}
