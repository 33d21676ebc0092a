package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A Bus carries messages over Redis.
type Bus struct {
	opts    Options
	client  *goredis.UniversalOptions
	self    string
	log     *slog.Logger
	adapter adapter
	streams *streams  // nil unless that is the adapter
	readers []*reader // of each stream
	topics  map[string]func(cluster.Note)

	channels []channel
	read     map[string]func([]byte) (incoming, error) // by channel or pattern
	open     map[string]bool                           // namespaces
	rooms    rooms

	in     *inbox
	out    *outbox
	link   atomic.Pointer[link] // nil while it is down
	status status
}

var _ cluster.Bus = (*Bus)(nil)

// New makes a bus. It connects in [Bus.Run].
func New(o Options) (*Bus, error) {
	quiet()
	client, err := o.universal()
	if err != nil {
		return nil, err
	}
	b := &Bus{
		opts: o, client: client, self: newID(), log: cmp.Or(o.Log, slog.Default()),
		topics: map[string]func(cluster.Note){}, read: map[string]func([]byte) (incoming, error){}, open: map[string]bool{},
	}
	shared := common{b.self, o.Prefix}
	switch o.Adapter {
	case Classic:
		b.adapter = &classic{common: shared, asked: &requests{}}
	case Sharded:
		b.adapter = &sharded{shared}
	case Streams:
		b.streams = &streams{shared, o.Stream}
		b.adapter = b.streams
		for i, name := range b.streams.names() {
			b.readers = append(b.readers, &reader{bus: b, number: i, name: name})
		}
	default:
		return nil, fmt.Errorf("redis.adapter: %q is not one of %s, %s, %s", o.Adapter, Classic, Sharded, Streams)
	}
	b.rooms.init()
	b.in = &inbox{self: b.self, log: b.log}
	b.out = newOutbox(o.QueueLength, o.QueueBytes, len(b.readers), b.in.echo)
	b.status.set(false, "not connected yet")
	return b, nil
}

// newID is random, of 16 characters as those of JavaScript servers.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// Self implements [cluster.Bus].
func (b *Bus) Self() string { return b.self }

// Ordered implements [cluster.Bus].
func (b *Bus) Ordered() bool { return b.streams != nil }

// Open implements [cluster.Bus].
func (b *Bus) Open(namespaces []string, r cluster.Receiver) {
	b.in.receiver = r
	for _, n := range namespaces {
		b.open[n] = true
		b.channels = append(b.channels, b.adapter.channels(n)...)
	}
	for _, c := range b.channels {
		b.read[c.name] = c.read
	}
	shared := common{b.self, b.opts.Prefix}
	for _, name := range []string{b.notes(""), b.notes(b.self)} {
		b.channels = append(b.channels, shared.pubsub(name, nil))
	}
}

// Publish implements [cluster.Bus]. Kinds that the adapter does not have are
// not published.
func (b *Bus) Publish(m *cluster.Message) {
	stream, echo := b.adapter.place(m)
	if echo {
		own := *m
		own.From = b.self
		m = &own
	}
	b.out.put(&item{message: m, size: size(m), stream: stream, echo: echo && b.open[m.Namespace]})
}

// size is about how much memory a message takes.
func size(m *cluster.Message) int {
	n := 256
	for _, arg := range m.Packet.Args {
		n += len(arg)
	}
	for _, a := range m.Packet.Attachments {
		n += len(a)
	}
	for _, list := range [][]string{m.Target.Rooms, m.Target.Except, m.Rooms} {
		for _, s := range list {
			n += len(s) + 16
		}
	}
	return n
}

// Respond implements [cluster.Bus].
func (b *Bus) Respond(to *cluster.Message, r *cluster.Response) {
	n := 256 + len(r.Ack)
	for _, s := range r.Sockets {
		n += len(s.Handshake) + len(s.Data) + 64
	}
	for _, p := range r.Parts {
		n += len(p)
	}
	b.out.put(&item{to: to, response: r, size: n, stream: -1})
}

// Run implements [cluster.Bus]. When ctx ends, what waits is still published,
// for Options.Timeout at most.
func (b *Bus) Run(ctx context.Context) error {
	defer b.in.stop()
	wait := minWait
	for ctx.Err() == nil {
		began := time.Now()
		err := b.live(ctx)
		if ctx.Err() != nil {
			b.status.set(false, "stopped")
			break
		}
		if time.Since(began) > b.opts.MaxWait {
			wait = minWait
		}
		b.log.Debug("redis is away", "error", err, "retry", wait)
		pause(ctx, wait)
		wait = min(2*wait, b.opts.MaxWait)
	}
	return nil
}

// minWait is the pause before the first attempt to connect again.
const minWait = 50 * time.Millisecond

// pause waits between half and all of a time, so that the servers of a cluster
// do not come back at once.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d/2 + mathrand.N(d/2+1))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// live connects and carries until something fails or ctx ends, and says why.
func (b *Bus) live(ctx context.Context) error {
	l := newLink(b)
	unwatch := context.AfterFunc(ctx, func() { l.fail(ctx.Err()) })
	err := l.connect()
	if unwatch(); err == nil {
		b.out.connect()
		b.link.Store(l)
		b.status.set(true, "")
		b.log.Debug("redis is there", "adapter", b.opts.Adapter)
		l.run(func() error { return l.write(ctx) })
		<-l.ctx.Done()
		b.link.Store(nil)
	} else {
		l.fail(err)
	}
	err = context.Cause(l.ctx)
	l.running.Wait()
	b.out.disconnect()
	b.status.set(false, err.Error())
	return err
}

// deliver hands on what arrived.
func (b *Bus) deliver(where string, m incoming, err error) {
	switch {
	case err != nil:
		b.in.bad(where, err)
	case !b.open[m.namespace] || m.message != nil && m.message.From == b.self:
	default:
		b.in.deliver(m)
	}
}

// Servers implements [cluster.Bus].
func (b *Bus) Servers(ctx context.Context, namespace string) (int, error) {
	l := b.link.Load()
	if l == nil {
		return 0, cluster.ErrUnavailable
	}
	c := b.adapter.counted(namespace)
	n, err := l.count(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("counting servers: %w", err)
	}
	return n, nil
}

// Enter implements [cluster.Bus]. What is published to a room before Redis has
// confirmed the subscription does not arrive: the receiver is told by
// [cluster.Enterer] when that is over, or to look after what it missed.
func (b *Bus) Enter(namespace, room string) {
	if c, ok := b.adapter.room(namespace, room); ok {
		b.rooms.want(c, namespace, room)
	}
}

// Exit implements [cluster.Bus].
func (b *Bus) Exit(namespace, room string) {
	if c, ok := b.adapter.room(namespace, room); ok {
		b.rooms.forget(c.name)
	}
}
