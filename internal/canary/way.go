package canary

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/roomcast/roomcast/internal/every"
)

// Buckets are the upper bounds of latencies, in seconds.
var Buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// A Way is how canaries come back on one.
type Way struct {
	Sent      int64
	Heard     int64
	Lost      int64 // not heard within the limit
	Reordered int64 // heard after one that was sent later
	// Latency counts those heard by how long they took: of each of [Buckets]
	// those that took no longer. Sum is of all, in seconds.
	Latency map[float64]uint64
	Sum     float64
	Last    time.Time // when one was heard
}

// way is a Way and what is on it.
type way struct {
	Way
	under   map[uint64]time.Time // sent, and neither heard nor lost
	highest uint64               // heard
}

func newWay() way {
	w := way{under: make(map[uint64]time.Time)}
	w.Latency = make(map[float64]uint64, len(Buckets))
	for _, b := range Buckets {
		w.Latency[b] = 0
	}
	return w
}

func (w *way) sent(n uint64, now time.Time) {
	w.Sent++
	w.under[n] = now
}

// hear takes in a canary, unless it was given up or came twice.
func (w *way) hear(n uint64, now time.Time) {
	at, ok := w.under[n]
	if !ok {
		return
	}
	delete(w.under, n)
	w.Heard++
	w.Last = now
	if n < w.highest {
		w.Reordered++
	}
	w.highest = max(w.highest, n)
	took := now.Sub(at).Seconds()
	w.Sum += took
	for _, b := range Buckets {
		if took <= b {
			w.Latency[b]++
		}
	}
}

// giveUp counts those that have not come back in time.
func (w *way) giveUp(before time.Time) {
	for n, at := range w.under {
		if at.Before(before) {
			delete(w.under, n)
			w.Lost++
		}
	}
}

func (w *way) stats() Way {
	s := w.Way
	s.Latency = maps.Clone(s.Latency)
	return s
}

// next notes that another canary is sent and returns its number.
func (c *Canary) next() uint64 {
	up := false
	if c.opts.BusUp != nil {
		_, up = c.opts.BusUp()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	now := time.Now()
	c.listener.sent(c.n, now)
	if up { // else it is not sent on
		c.bus.sent(c.n, now)
	}
	return c.n
}

func (c *Canary) heard(by string, n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch by {
	case Listener:
		c.listener.hear(n, time.Now())
	case Bus:
		c.bus.hear(n, time.Now())
	}
}

// Stats returns the numbers of each way since the start.
func (c *Canary) Stats() map[string]Way {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]Way{Listener: c.listener.stats()}
	if c.opts.BusUp != nil {
		all[Bus] = c.bus.stats()
	}
	return all
}

// Deaf says what the server does not hear, "" if it hears.
func (c *Canary) Deaf() string {
	var since time.Time
	var up bool
	if c.opts.BusUp != nil {
		since, up = c.opts.BusUp()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.listener.Last.IsZero() || now.Sub(c.listener.Last) > c.opts.Limit {
		return c.silence("this server has not heard itself by its own listener", c.listener.Last, now, c.why)
	}
	if !up {
		return ""
	}
	// One that has just come up has the time to begin with.
	if now.Sub(since) > c.opts.Limit && now.Sub(c.began) > c.opts.Limit && now.Sub(c.bus.Last) > c.opts.Limit {
		return c.silence("this server has not heard itself by the bus, which seems to be up", c.bus.Last, now, "")
	}
	return ""
}

func (c *Canary) silence(what string, last, now time.Time, why string) string {
	switch {
	case last.IsZero():
		what += " yet"
	default:
		what += fmt.Sprintf(" for %v", now.Sub(last).Round(time.Second))
	}
	if why != "" {
		what += ": " + why
	}
	return what
}

// watch gives up what is late, and logs each change.
func (c *Canary) watch(ctx context.Context) {
	every.Do(ctx, c.opts.Limit/10, c.look)
}

func (c *Canary) look(now time.Time) {
	deaf := c.Deaf()
	if now.Sub(c.began) < c.opts.Limit {
		deaf = "" // it is only beginning
	}
	c.mu.Lock()
	c.listener.giveUp(now.Add(-c.opts.Limit))
	c.bus.giveUp(now.Add(-c.opts.Limit))
	was := c.deaf
	c.deaf = deaf
	c.mu.Unlock()
	switch {
	case was == "" && deaf != "":
		c.opts.Logger.Error("this server is deaf: it is not ready", "reason", deaf)
	case was != "" && deaf == "":
		c.opts.Logger.Info("this server hears again")
	}
}
