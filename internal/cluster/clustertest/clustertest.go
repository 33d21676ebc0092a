// Package clustertest has a bus within one process, for tests of what uses one.
// What the buses of package redis add to it is the network.
package clustertest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A Net is what the buses of a cluster share.
type Net struct {
	ordered bool

	mu    sync.Mutex
	buses []*Bus
	seq   uint64
	log   []*cluster.Message
	saved map[string]*cluster.SavedSession
}

// New returns a net without buses. ordered is what [cluster.Bus.Ordered] says.
func New(ordered bool) *Net {
	return &Net{ordered: ordered, saved: make(map[string]*cluster.SavedSession)}
}

// Bus returns another bus. It carries until the end of its Run.
func (n *Net) Bus() *Bus {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := &Bus{net: n, self: "server" + strconv.Itoa(len(n.buses)+1), topics: make(map[string]func(cluster.Note)), up: true}
	b.wake = sync.NewCond(&n.mu)
	n.buses = append(n.buses, b)
	return b
}

// A Bus is one server's. It implements [cluster.Bus].
type Bus struct {
	net      *Net
	self     string
	receiver cluster.Receiver
	topics   map[string]func(cluster.Note)
	wake     *sync.Cond
	queue    []func()
	waiting  []*cluster.Message // while down
	up       bool
	over     bool
}

var _ cluster.Bus = (*Bus)(nil)

// SetUp takes the bus down or up. While it is down nothing reaches it; what it
// publishes waits.
func (b *Bus) SetUp(up bool) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	b.up = up
	if !up {
		return
	}
	for _, m := range b.waiting {
		b.sendLocked(m, false)
	}
	b.waiting = nil
	b.pushLocked(b.receiver.Resync)
}

func (b *Bus) pushLocked(fn func()) {
	b.queue = append(b.queue, fn)
	b.wake.Signal()
}

// sendLocked gives a message to the others, and if the net is ordered to its
// sender, unless that has it.
func (b *Bus) sendLocked(m *cluster.Message, echo bool) {
	sent := *m
	sent.From = b.self
	if b.net.ordered && m.Kind == cluster.Broadcast && !m.Volatile && m.RequestID == "" {
		b.net.seq++
		sent.ID = cluster.ID{Ms: 1, Seq: b.net.seq}
		b.net.log = append(b.net.log, &sent)
	} else {
		echo = false
	}
	for _, to := range b.net.buses {
		if to.up && !to.over && (to != b || echo) {
			to.pushLocked(func() { to.receiver.Receive(&sent) })
		}
	}
}

// Self implements [cluster.Bus].
func (b *Bus) Self() string { return b.self }

// Ordered implements [cluster.Bus].
func (b *Bus) Ordered() bool { return b.net.ordered }

// Open implements [cluster.Bus].
func (b *Bus) Open(_ []string, r cluster.Receiver) { b.receiver = r }

// Publish implements [cluster.Bus].
func (b *Bus) Publish(m *cluster.Message) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if b.up {
		b.sendLocked(m, true)
		return
	}
	if b.net.ordered && m.Kind == cluster.Broadcast {
		echoed := *m
		echoed.From = b.self
		b.pushLocked(func() { b.receiver.Receive(&echoed) })
	}
	if !m.Volatile {
		b.waiting = append(b.waiting, m)
	}
}

// Respond implements [cluster.Bus].
func (b *Bus) Respond(to *cluster.Message, r *cluster.Response) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	for _, other := range b.net.buses {
		if other.self == to.From && other.up {
			other.pushLocked(func() { other.receiver.Respond(to.Namespace, r) })
		}
	}
}

// Servers implements [cluster.Bus].
func (b *Bus) Servers(context.Context, string) (int, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	n := 0
	for _, other := range b.net.buses {
		if other.up && !other.over {
			n++
		}
	}
	return n, nil
}

// Enter implements [cluster.Bus].
func (b *Bus) Enter(string, string) {}

// Exit implements [cluster.Bus].
func (b *Bus) Exit(string, string) {}

// Run implements [cluster.Bus].
func (b *Bus) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		b.net.mu.Lock()
		defer b.net.mu.Unlock()
		b.over = true
		b.wake.Signal()
	})
	defer stop()
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	for {
		for len(b.queue) > 0 {
			fn := b.queue[0]
			b.queue = b.queue[1:]
			b.net.mu.Unlock()
			fn()
			b.net.mu.Lock()
		}
		if b.over {
			return nil
		}
		b.wake.Wait()
	}
}

// Status implements [cluster.Bus].
func (b *Bus) Status() cluster.Status {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	return cluster.Status{Up: b.up, Waiting: len(b.waiting)}
}

// Send implements [cluster.Notes].
func (b *Bus) Send(n cluster.Note) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	n.From = b.self
	for _, to := range b.net.buses {
		if fn := to.topics[n.Topic]; fn != nil && b.up && to.up && !to.over && (n.To == to.self || n.To == "" && to != b) {
			to.pushLocked(func() { fn(n) })
		}
	}
}

// Listen implements [cluster.Notes].
func (b *Bus) Listen(topic string, fn func(cluster.Note)) { b.topics[topic] = fn }

// Save implements [cluster.Sessions].
func (b *Bus) Save(_ context.Context, s *cluster.SavedSession, _ time.Duration) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if !b.up {
		return cluster.ErrUnavailable
	}
	if b.net.ordered {
		b.net.saved[s.PID] = s
	}
	return nil
}

// Take implements [cluster.Sessions].
func (b *Bus) Take(_ context.Context, pid string) (*cluster.SavedSession, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if !b.up {
		return nil, cluster.ErrUnavailable
	}
	s := b.net.saved[pid]
	delete(b.net.saved, pid)
	return s, nil
}

// Since implements [cluster.Sessions].
func (b *Bus) Since(_ context.Context, namespace string, id cluster.ID) ([]*cluster.Message, bool, error) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	var after []*cluster.Message
	for _, m := range b.net.log {
		if m.Namespace == namespace && m.ID.Compare(id) > 0 {
			after = append(after, m)
		}
	}
	return after, b.up, nil
}
