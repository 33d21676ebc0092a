package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Limits of what is sent at a time. [windowSize] must be more than maxBatch.
const (
	maxBatch      = 512
	maxBatchBytes = 1 << 20
)

// write publishes what is in the outbox, in order, until ctx has ended and
// nothing waits. Redis is asked for an answer whenever there is nothing to say.
func (l *link) write(ctx context.Context) error {
	ping := time.NewTicker(l.bus.opts.Timeout / 2)
	defer ping.Stop()
	for ending, end := false, ctx.Done(); ; {
		if l.bus.out.caughtUp() && l.needsResync() {
			l.bus.in.resync()
		}
		if batch := l.bus.out.take(maxBatch, maxBatchBytes); len(batch) > 0 {
			if err := l.send(batch); err != nil {
				return l.explain("publishing", err)
			}
			l.bus.out.done()
			l.bus.status.sent.Add(int64(len(batch)))
			continue
		}
		if ending {
			return ctx.Err()
		}
		select {
		case <-l.bus.out.wake:
		case <-ping.C:
			if err := l.ping(); err != nil {
				return l.explain("asking for a sign of life", err)
			}
		case <-end:
			ending = true
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
}

// needsResync reports whether something may have been missed before this link.
// Who reads a stream knows that itself.
func (l *link) needsResync() bool { return l.bus.streams == nil && l.bus.Status().Reconnects > 0 }

// send publishes items and waits for the answers.
func (l *link) send(batch []*item) error {
	groups := []group{}
	for _, it := range batch {
		commands, err := l.bus.commands(it)
		if err != nil {
			l.bus.log.Error("a message cannot be published", "error", err)
			continue
		}
		for _, c := range commands {
			node, err := l.node(c.key)
			if err != nil {
				return err
			}
			groups = addTo(groups, node, c)
		}
	}
	for _, g := range groups {
		if err := g.exec(l.ctx, len(groups) == 1 && !l.isCluster()); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) isCluster() bool {
	_, ok := l.client.(*goredis.ClusterClient)
	return ok
}

// A group is what one node gets.
type group struct {
	node     *goredis.Client
	commands []command
}

func addTo(groups []group, node *goredis.Client, c command) []group {
	for i := range groups {
		if groups[i].node == node {
			groups[i].commands = append(groups[i].commands, c)
			return groups
		}
	}
	return append(groups, group{node, []command{c}})
}

// exec carries commands out in order. Where it can it does so in a transaction:
// all or, if the server refuses to write, none.
func (g group) exec(ctx context.Context, atomic bool) error {
	pipe := g.node.Pipeline()
	if atomic && len(g.commands) > 1 {
		pipe = g.node.TxPipeline()
	}
	for _, c := range g.commands {
		pipe.Do(ctx, c.args...)
	}
	_, err := pipe.Exec(ctx)
	if errors.Is(err, goredis.Nil) {
		return nil
	}
	return err
}

// commands returns what publishes an item.
func (b *Bus) commands(it *item) ([]command, error) {
	switch {
	case it.note != nil:
		return one(b.sendNote(it.note))
	case it.gap:
		return b.adapterGap()
	case it.response != nil:
		return one(b.adapter.respond(it.to, it.response))
	}
	return b.adapter.publish(it.message, it.seq)
}
