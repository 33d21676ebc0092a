package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roomcast/roomcast/internal/cluster"
)

// chunk is how many channels one command subscribes to.
const chunk = 500

// A subscription is one connection on which channels are heard.
type subscription struct {
	link   *link
	client *goredis.Client
	pubsub *goredis.PubSub
	heard  atomic.Int64 // when something came, in ns

	mu      sync.Mutex
	leaving map[string]int // channels whose end was asked for and not confirmed
}

var errOnce = errors.New("the connection is lost")

// newSubscription connects to a node, once: the client would mend a lost
// connection silently, and with it a gap.
func (l *link) newSubscription(node *goredis.Client) *subscription {
	opts := *node.Options()
	dial, dialed := opts.Dialer, new(atomic.Bool)
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dialed.Swap(true) {
			return nil, errOnce
		}
		return dial(ctx, network, addr)
	}
	opts.MaxRetries = -1 // the options that a client returns say it in another way
	s := &subscription{link: l, client: goredis.NewClient(&opts), leaving: make(map[string]int)}
	s.pubsub = s.client.Subscribe(l.ctx)
	s.heard.Store(time.Now().UnixNano())
	l.running.Add(1)
	context.AfterFunc(l.ctx, func() {
		defer l.running.Done()
		_ = s.client.Close() // it has failed already
	})
	l.run(func() error { return l.explain("listening", s.receive()) })
	l.run(func() error { return l.explain("listening", s.watch()) })
	return s
}

// on returns the subscription for a channel.
func (l *link) on(c channel) (*subscription, error) {
	node, err := l.node(c.key)
	if err != nil {
		return nil, err
	}
	addr := node.Options().Addr
	s := l.subs[addr]
	if s == nil {
		s = l.newSubscription(node)
		l.subs[addr] = s
	}
	return s, nil
}

// subscribe subscribes to everything and waits until that is confirmed.
func (l *link) subscribe() error {
	all := slices.Clone(l.bus.channels)
	for _, r := range l.bus.rooms.all() {
		all = append(all, r.channel)
	}
	l.unconfirmed.Store(int64(len(all)))
	if err := l.add(all); err != nil {
		return err
	}
	select {
	case <-l.expected:
	case <-l.ctx.Done():
		return context.Cause(l.ctx)
	}
	if _, ok := l.bus.adapter.(*sharded); ok {
		l.run(func() error { return l.explain("subscribing to rooms", l.followRooms()) })
	}
	return nil
}

// add subscribes to channels, as many at a time as may be.
func (l *link) add(channels []channel) error {
	type kind struct {
		s   *subscription
		how subscribing
	}
	groups := make(map[kind][]string)
	for _, c := range channels {
		s, err := l.on(c)
		if err != nil {
			return err
		}
		groups[kind{s, c.how}] = append(groups[kind{s, c.how}], c.name)
	}
	_, isCluster := l.client.(*goredis.ClusterClient)
	for k, names := range groups {
		size := chunk
		if isCluster && k.how == ssubscribe {
			size = 1 // channels of one command must be of one slot
		}
		for some := range slices.Chunk(names, size) {
			if err := k.s.subscribe(k.how, some); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *subscription) subscribe(how subscribing, names []string) error {
	switch how {
	case psubscribe:
		return s.pubsub.PSubscribe(s.link.ctx, names...)
	case ssubscribe:
		return s.pubsub.SSubscribe(s.link.ctx, names...)
	default:
		return s.pubsub.Subscribe(s.link.ctx, names...)
	}
}

// receive hands on what comes.
func (s *subscription) receive() error {
	for {
		v, err := s.pubsub.Receive(s.link.ctx)
		if err != nil {
			return err
		}
		s.heard.Store(time.Now().UnixNano())
		switch v := v.(type) {
		case *goredis.Message:
			s.link.bus.message(v)
		case *goredis.Subscription:
			if err := s.confirmed(v); err != nil {
				return err
			}
		}
	}
}

// watch asks for an answer whenever there is silence.
func (s *subscription) watch() error {
	timeout := s.link.bus.opts.Timeout
	for s.link.sleep(timeout / 3) {
		silence := time.Since(time.Unix(0, s.heard.Load()))
		if silence > timeout {
			return errSilent
		}
		if silence > timeout/4 {
			if err := s.pubsub.Ping(s.link.ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *subscription) confirmed(v *goredis.Subscription) error {
	l := s.link
	switch v.Kind {
	case string(subscribe), string(psubscribe), string(ssubscribe):
		switch left := l.unconfirmed.Add(-1); {
		case left == 0:
			close(l.expected)
		case left < 0:
			l.bus.entered(v.Channel)
		}
	case "sunsubscribe":
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.leaving[v.Channel] == 0 {
			return fmt.Errorf("the slot of channel %s moved", v.Channel)
		}
		if s.leaving[v.Channel]--; s.leaving[v.Channel] == 0 {
			delete(s.leaving, v.Channel)
		}
	}
	return nil
}

// followRooms subscribes to rooms as they get members, and ends it when they
// have none.
func (l *link) followRooms() error {
	for {
		select {
		case <-l.ctx.Done():
			return nil
		case <-l.bus.rooms.wake:
		}
		var enter []channel
		for name, room := range l.bus.rooms.changes() {
			if room != nil {
				enter = append(enter, room.channel)
				continue
			}
			s, err := l.on(channel{key: name})
			if err != nil {
				return err
			}
			s.mu.Lock()
			s.leaving[name]++
			s.mu.Unlock()
			if err := s.pubsub.SUnsubscribe(l.ctx, name); err != nil {
				return err
			}
		}
		if err := l.add(enter); err != nil {
			return err
		}
	}
}

// entered tells the receiver that a room can be heard now.
func (b *Bus) entered(channel string) {
	room, ok := b.rooms.get(channel)
	if !ok {
		return // it was left again
	}
	e, ok := b.in.receiver.(cluster.Enterer)
	if !ok {
		b.in.resync()
		return
	}
	b.in.turn.Lock()
	defer b.in.turn.Unlock()
	b.in.drain()
	e.Entered(room.namespace, room.name)
}

// message decodes what came on a channel.
func (b *Bus) message(m *goredis.Message) {
	name := m.Channel
	if m.Pattern != "" {
		name = m.Pattern
	}
	payload := []byte(m.Payload)
	if name == b.notes("") || name == b.notes(b.self) {
		b.receiveNote(name, payload)
		return
	}
	read := b.read[name]
	if read == nil { // of a room
		read = func(payload []byte) (incoming, error) { return readCluster(payload, attach) }
	}
	in, err := read(payload)
	b.deliver(name, in, err)
}
