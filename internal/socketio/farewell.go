package socketio

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/engineio"
)

// DrainOptions say how clients are sent away.
type DrainOptions struct {
	// Window is the time over which their connections are closed. It is less if
	// they are few: 10 ms for each.
	Window time.Duration
	// Busy reports whether something that is under way is being sent to rooms
	// of a namespace; nil is never. Who is in such rooms is sent away last, when
	// that is over. It must not block.
	Busy func(namespace string, rooms []events.Room) bool
}

// drainStep is how often those are closed whose moment has come, or who are no
// longer busy.
const drainStep = 20 * time.Millisecond

// Drain lets no new clients in and sends those there are away, a few at a time,
// so that they do not all come to other servers at once: connections are closed
// and not sessions, because after that clients come back by themselves. It
// returns when all have been sent away, or ctx ends. [Server.Close] must follow.
func (s *Server) Drain(ctx context.Context, opts DrainOptions) error {
	s.engine.Refuse()
	waiting := departures(s.links(), opts.Window)
	var due []*link
	tick := time.NewTicker(drainStep)
	defer tick.Stop()
	for began := time.Now(); len(waiting) > 0 || len(due) > 0; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		for len(waiting) > 0 && waiting[0].after <= time.Since(began) {
			due = append(due, waiting[0].link)
			waiting = waiting[1:]
		}
		due = opts.dismiss(due)
	}
	return nil
}

// departure is when a connection is to be closed.
type departure struct {
	link  *link
	after time.Duration
}

// departureTime is what is enough for one.
const departureTime = 10 * time.Millisecond

// departures spreads connections over a window: each has a slot of its own in
// it, and its moment in there is left to chance.
func departures(links []*link, window time.Duration) []departure {
	window = min(window, time.Duration(len(links))*departureTime)
	rand.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	all := make([]departure, len(links))
	for i, l := range links {
		all[i] = departure{l, time.Duration((float64(i) + rand.Float64()) / float64(len(links)) * float64(window))}
	}
	slices.SortFunc(all, func(a, b departure) int { return cmp.Compare(a.after, b.after) })
	return all
}

// dismiss closes the connections that are not busy and returns the others.
func (o DrainOptions) dismiss(links []*link) (busy []*link) {
	for _, l := range links {
		switch {
		case l.ended():
		case o.Busy != nil && l.busyWith(o.Busy):
			busy = append(busy, l)
		default:
			l.conn.Close(engineio.ReasonShutdown)
		}
	}
	return busy
}

func (l *link) busyWith(busy func(namespace string, rooms []events.Room) bool) bool {
	l.mu.Lock()
	sessions := slices.Clone(l.sessions)
	l.mu.Unlock()
	return slices.ContainsFunc(sessions, func(s *Session) bool { return s.is(stateOpen) && busy(s.namespace, s.Rooms()) })
}

// links returns the connections that are in a namespace.
func (s *Server) links() []*link {
	var links []*link
	seen := make(map[*link]bool)
	for _, sp := range s.spaces {
		for _, session := range sp.sessions.all() {
			if l := session.link; !seen[l] {
				seen[l] = true
				links = append(links, l)
			}
		}
	}
	return links
}
