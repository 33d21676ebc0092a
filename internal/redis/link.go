package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A link is everything that is connected to Redis. It fails as a whole.
type link struct {
	bus     *Bus
	client  goredis.UniversalClient
	ctx     context.Context // ends when it fails, with the reason as cause
	fail    context.CancelCauseFunc
	running sync.WaitGroup

	// subs are the subscriptions, by address; in a Redis Cluster channels of
	// the sharded adapter belong to nodes.
	subs map[string]*subscription
	// expected is closed when the first channels are confirmed; so many are not.
	expected    chan struct{}
	unconfirmed atomic.Int64
}

func newLink(b *Bus) *link {
	l := &link{bus: b, client: goredis.NewUniversalClient(b.client), subs: make(map[string]*subscription), expected: make(chan struct{})}
	l.ctx, l.fail = context.WithCancelCause(context.Background())
	// Commands that wait for an answer only end with their connection.
	l.running.Add(1)
	context.AfterFunc(l.ctx, func() {
		defer l.running.Done()
		_ = l.client.Close() // it has failed already
	})
	return l
}

// run runs fn until it fails, and the link with it.
func (l *link) run(fn func() error) {
	l.running.Go(func() { l.fail(fn()) })
}

// connect subscribes, and reads what was missed.
func (l *link) connect() error {
	if err := l.ping(); err != nil {
		return l.explain("connecting", err)
	}
	if err := l.subscribe(); err != nil {
		return l.explain("subscribing", err)
	}
	for _, r := range l.bus.readers {
		if err := r.catchUp(l); err != nil {
			return l.explain("reading the stream", err)
		}
		l.run(func() error { return l.explain("reading the stream", r.follow(l)) })
	}
	return nil
}

// node returns the client of the server that a key belongs to.
func (l *link) node(key string) (*goredis.Client, error) {
	switch c := l.client.(type) {
	case *goredis.Client:
		return c, nil
	case *goredis.ClusterClient:
		return c.MasterForKey(l.ctx, key)
	default:
		return nil, fmt.Errorf("a client of type %T", c)
	}
}

// each runs fn for each master.
func (l *link) each(ctx context.Context, fn func(context.Context, *goredis.Client) error) error {
	if c, ok := l.client.(*goredis.ClusterClient); ok {
		return c.ForEachMaster(ctx, fn)
	}
	node, err := l.node("")
	if err != nil {
		return err
	}
	return fn(ctx, node)
}

func (l *link) ping() error {
	return l.each(l.ctx, func(ctx context.Context, c *goredis.Client) error { return c.Ping(ctx).Err() })
}

// count counts the subscribers of a channel.
func (l *link) count(ctx context.Context, c channel) (int, error) {
	var n atomic.Int64
	err := l.each(ctx, func(ctx context.Context, node *goredis.Client) error {
		count := node.PubSubNumSub
		if c.how == ssubscribe {
			count = node.PubSubShardNumSub
		}
		counts, err := count(ctx, c.name).Result()
		n.Add(counts[c.name])
		return err
	})
	return int(n.Load()), err
}

var errSilent = errors.New("no answer")

// explain says what failed. A failed link says why it failed, not that its
// connections are closed.
func (l *link) explain(doing string, err error) error {
	if err == nil || context.Cause(l.ctx) != nil {
		return context.Cause(l.ctx)
	}
	var timeout net.Error
	if errors.Is(err, errSilent) || errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%s: no answer within %v", doing, l.bus.opts.Timeout)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// sleep waits, and reports false if the link fails.
func (l *link) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}
