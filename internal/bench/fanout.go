package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// audience are the members of some rooms, and what they have received.
type audience struct {
	rooms   int
	members []*client
	p       *progress

	got        atomic.Int64
	disordered atomic.Int64
	latencies  latencies
	changed    chan struct{} // told when something has come
	reading    sync.WaitGroup
}

// seat connects members and puts member i into room i mod rooms.
func seat(ctx context.Context, t Target, members, rooms int, p *progress) (*audience, error) {
	clients, err := connectAll(ctx, t, members, p)
	if err != nil {
		return nil, err
	}
	a := &audience{rooms: rooms, members: clients, p: p, changed: make(chan struct{}, 1)}
	var all sync.WaitGroup
	errs := make(chan error, members)
	for i, c := range clients {
		all.Go(func() { errs <- c.call("bench:join", roomName(i%rooms)) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			closeAll(clients)
			return nil, err
		}
	}
	for i, c := range clients {
		a.reading.Go(func() { a.read(c, i%rooms) })
	}
	return a, nil
}

func roomName(i int) string { return fmt.Sprintf("bench-%d", i) }

// payload is that of a publication: about 300 bytes, with its number and the
// time.
type payload struct {
	Seq  int    `json:"seq"`
	At   int64  `json:"at"` // nanoseconds
	Fill string `json:"fill"`
}

var fill = strings.Repeat("0123456789", 24)

// read receives until the connection is closed. The publications of a room
// must come in the order of their numbers, without a gap.
func (a *audience) read(c *client, room int) {
	c.ws.SetDeadline(time.Time{})
	next := 0
	var took []time.Duration
	defer func() { a.latencies.add(took) }()
	for {
		b, err := c.read()
		if err != nil {
			return
		}
		seq, ok := number(b, `"seq":`)
		at, _ := number(b, `"at":`)
		if !ok {
			continue
		}
		if seq != next {
			a.disordered.Add(1)
		}
		next = seq + 1
		took = append(took, time.Duration(time.Now().UnixNano()-int64(at)))
		a.p.tell(a.got.Add(1), "delivered")
		select {
		case a.changed <- struct{}{}:
		default:
		}
	}
}

// await waits until n deliveries have come, or none comes for a while.
func (a *audience) await(ctx context.Context, n int64) error {
	quiet := time.NewTimer(patience)
	defer quiet.Stop()
	for a.got.Load() < n {
		select {
		case <-a.changed:
			quiet.Reset(patience)
		case <-quiet.C:
			return nil // what is missing is counted as lost
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (a *audience) leave() {
	closeAll(a.members)
	a.reading.Wait()
}

// publisher publishes to rooms in turn.
type publisher struct {
	*client
	rooms int
	seq   []int // by room
	n     int
}

func newPublisher(ctx context.Context, t Target, rooms int) (*publisher, error) {
	c, err := connect(ctx, t)
	if err != nil {
		return nil, err
	}
	return &publisher{client: c, rooms: rooms, seq: make([]int, rooms)}, nil
}

// publish sends one publication and waits until the server has taken it.
func (p *publisher) publish() error {
	room := p.n % p.rooms
	p.n++
	seq := p.seq[room]
	p.seq[room]++
	p.ws.SetDeadline(time.Now().Add(patience))
	return p.call("bench:publish", map[string]any{
		"room": roomName(room), "count": 1, "event": "bench:event", "payload": payload{seq, time.Now().UnixNano(), fill},
	})
}

// spread measures publications to rooms: at a rate, or, without one, each as
// soon as the last has reached everybody.
func spread(ctx context.Context, t Target, o Options, name string, members, rooms, rate int) (Result, error) {
	r := Result{Workload: name, Connections: members}
	duration := orDefault(o.Duration, 5*time.Second)
	a, err := seat(ctx, t, members, rooms, newProgress(o))
	if err != nil {
		return r, err
	}
	defer a.leave()
	p, err := newPublisher(ctx, t, rooms)
	if err != nil {
		return r, err
	}
	defer p.close()
	each := int64(members / rooms)
	warm := max(rooms, 10)
	for range warm {
		if err := p.publish(); err != nil {
			return r, err
		}
	}
	if err := a.await(ctx, each*int64(warm)); err != nil {
		return r, err
	}
	m, err := startMeter(t.PID)
	if err != nil {
		return r, err
	}
	begun, sent := time.Now(), int64(0)
	for time.Since(begun) < duration {
		if rate > 0 {
			if err := sleep(ctx, time.Until(begun.Add(time.Duration(float64(time.Second)*float64(sent)/float64(rate))))); err != nil {
				return r, err
			}
		} else if err := a.await(ctx, each*(int64(warm)+sent-1)); err != nil { // two under way
			return r, err
		}
		if err := p.publish(); err != nil {
			return r, err
		}
		sent++
	}
	if err := a.await(ctx, each*(int64(warm)+sent)); err != nil {
		return r, err
	}
	r.Messages = a.got.Load() - each*int64(warm)
	r.Lost, r.Disordered = each*sent-r.Messages, a.disordered.Load()
	if err := m.fill(&r); err != nil {
		return r, err
	}
	a.leave()
	a.latencies.fill(&r)
	return r, nil
}

// perSecond is how many deliveries a second make a comfortable load.
const perSecond = 20_000

func runFanout(ctx context.Context, t Target, o Options) (Result, error) {
	members := orDefault(o.Connections, 1000)
	return spread(ctx, t, o, "fanout", members, 1, orDefault(o.Rate, max(perSecond/members, 1)))
}

func runRooms(ctx context.Context, t Target, o Options) (Result, error) {
	rooms := orDefault(o.Rooms, 500)
	members := orDefault(o.Connections, 10*rooms)
	return spread(ctx, t, o, "rooms", members, rooms, orDefault(o.Rate, perSecond*rooms/members))
}

// Saturate is the workload fanout without a rate: how many deliveries a second
// there can be.
func Saturate(ctx context.Context, t Target, o Options) (Result, error) {
	return spread(ctx, t, o, "saturate", orDefault(o.Connections, 1000), 1, 0)
}

// runBurst publishes many times back to back and counts what arrives, in which
// order.
func runBurst(ctx context.Context, t Target, o Options) (Result, error) {
	members, count := orDefault(o.Connections, 50), orDefault(o.Count, 1000)
	r := Result{Workload: "burst", Connections: members}
	a, err := seat(ctx, t, members, 1, newProgress(o))
	if err != nil {
		return r, err
	}
	defer a.leave()
	p, err := connect(ctx, t)
	if err != nil {
		return r, err
	}
	defer p.close()
	for seq := range count {
		packet, err := json.Marshal([]any{"bench:publish", map[string]any{
			"room": roomName(0), "count": 1, "event": "bench:event", "payload": payload{seq, time.Now().UnixNano(), fill},
		}})
		if err != nil {
			return r, err
		}
		p.queue(append([]byte("42"), packet...))
	}
	m, err := startMeter(t.PID)
	if err != nil {
		return r, err
	}
	if err := p.flush(); err != nil {
		return r, err
	}
	expected := int64(members * count)
	if err := a.await(ctx, expected); err != nil {
		return r, err
	}
	r.Messages = a.got.Load()
	r.Lost, r.Disordered = expected-r.Messages, a.disordered.Load()
	if err := m.fill(&r); err != nil {
		return r, err
	}
	a.leave()
	a.latencies.fill(&r)
	return r, nil
}
