package engineio

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A wheel keeps the heartbeats of all connections with one goroutine. Time is
// counted in ticks, and a connection lies in the slot of the tick at which it
// needs looking at. What a client sends only stores the current tick; the
// wheel finds out when the slot comes round.
type wheel struct {
	every    time.Duration
	interval int64 // ticks between heartbeats
	timeout  int64 // ticks a client may be silent after one
	now      atomic.Int64

	mu    sync.Mutex
	slots []*Conn // heads of doubly linked lists
}

// beat is a connection's place on the wheel.
type beat struct {
	seen    atomic.Int64 // tick of the last packet from the client
	stalled atomic.Bool  // nobody is listening to the client

	// Guarded by the wheel's mutex.
	prev, next *Conn
	slot       int64 // -1 when not on the wheel
	pinged     int64 // tick of the ping that awaits an answer, -1 when there is none
}

// resolution is how many ticks the shorter of interval and timeout has. A
// client that is silent for exactly the timeout must be found gone, not about
// to go, so the timeout is kept one tick short: the slack of a late timer.
const resolution = 20

func newWheel(interval, timeout time.Duration) *wheel {
	every := max(min(interval, timeout)/resolution, 5*time.Millisecond)
	w := &wheel{
		every:    every,
		interval: max(int64(interval/every), 1),
		timeout:  max(int64(timeout/every)-1, 1),
	}
	w.slots = make([]*Conn, w.interval+w.timeout+2)
	return w
}

// forgiven is how many ticks at once are not made up for: the process stood
// still for so long, or had no processor, that the clients' answers may be here
// and just not have been read.
const forgiven = resolution / 4

// run turns the wheel until ctx ends. A late tick is made up for.
func (w *wheel) run(ctx context.Context) {
	ticker := time.NewTicker(w.every)
	defer ticker.Stop()
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			behind := int64(time.Since(start)/w.every) - w.now.Load()
			if behind > forgiven {
				start = start.Add(time.Duration(behind-1) * w.every)
				behind = 1
			}
			for range behind {
				w.turn()
			}
		}
	}
}

// turn advances by one tick and handles the connections that are due.
func (w *wheel) turn() {
	now := w.now.Add(1)
	w.mu.Lock()
	due := w.slots[now%int64(len(w.slots))]
	w.slots[now%int64(len(w.slots))] = nil
	var ping, dead []*Conn
	for c := due; c != nil; {
		following := c.beat.next
		c.beat.prev, c.beat.next, c.beat.slot = nil, nil, -1
		switch at := w.check(c, now); {
		case at <= now:
			dead = append(dead, c)
		default:
			w.place(c, at)
			if c.beat.pinged == now {
				ping = append(ping, c)
			}
		}
		c = following
	}
	w.mu.Unlock()

	for _, c := range ping {
		c.sendPacket(pingFrame)
	}
	for _, c := range dead {
		c.Abort(ReasonPingTimeout)
	}
}

// check decides what a due connection needs and returns the tick at which to
// look again; one that is not in the future means that the client is dead.
func (w *wheel) check(c *Conn, now int64) int64 {
	seen := c.beat.seen.Load()
	if c.beat.stalled.Load() {
		seen = now
	}
	if c.proto == 3 { // the client pings
		return seen + w.interval + w.timeout
	}
	if asked := c.beat.pinged; asked >= 0 {
		if seen < asked {
			return asked + w.timeout
		}
		c.beat.pinged = -1
		if at := seen + w.interval; at > now {
			return at
		}
	}
	c.beat.pinged = now
	return now + min(w.timeout, w.interval)
}

func (w *wheel) add(c *Conn) {
	now := w.now.Load()
	c.beat.seen.Store(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	c.beat.pinged = -1
	if c.proto == 3 {
		w.place(c, now+w.interval+w.timeout)
	} else {
		w.place(c, now+w.interval)
	}
}

// place puts c into the slot of tick at. The mutex is held.
func (w *wheel) place(c *Conn, at int64) {
	slot := at % int64(len(w.slots))
	c.beat.slot = slot
	c.beat.prev, c.beat.next = nil, w.slots[slot]
	if c.beat.next != nil {
		c.beat.next.beat.prev = c
	}
	w.slots[slot] = c
}

// remove takes c off the wheel; it is not looked at again.
func (w *wheel) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.beat.slot < 0 {
		return
	}
	if c.beat.prev != nil {
		c.beat.prev.beat.next = c.beat.next
	} else {
		w.slots[c.beat.slot] = c.beat.next
	}
	if c.beat.next != nil {
		c.beat.next.beat.prev = c.beat.prev
	}
	c.beat.prev, c.beat.next, c.beat.slot = nil, nil, -1
}
