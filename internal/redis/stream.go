package redis

import (
	"errors"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/roomcast/roomcast/internal/cluster"
)

const (
	readCount = 100
	readBlock = 2 * time.Second
)

// A reader reads one stream, from where it was when the bus first connected.
//
// What it delivers ascends. Redis gives out ascending IDs as long as a stream
// lives, but after a failover, or if the data are gone, they may begin again
// below those that were delivered. Then an entry of the last ID and one is
// added, which makes Redis go on above it, for everybody; what was added
// meanwhile gets the ID of the last one and a higher number behind it.
type reader struct {
	bus    *Bus
	number int
	name   string

	started   bool
	last      cluster.ID // of the last entry that was read; zero if there was none
	delivered cluster.ID // the last that was delivered
}

// catchUp reads what was added since the last time, and finds out whether
// something is missing.
func (r *reader) catchUp(l *link) error {
	node, err := l.node(r.name)
	if err != nil {
		return err
	}
	info, err := node.XInfoStream(l.ctx, r.name).Result()
	if err != nil && !strings.Contains(err.Error(), "no such key") {
		return err
	}
	if info == nil {
		info = &goredis.XInfoStream{}
	}
	newest, _ := cluster.ParseID(info.LastGeneratedID)
	if !r.started {
		r.started, r.last, r.delivered = true, newest, newest
		return nil
	}
	lost, err := r.lost(l, node, info)
	if err != nil {
		return err
	}
	if oldest, _ := cluster.ParseID(info.FirstEntry.ID); lost && oldest.Compare(r.last) <= 0 || newest.Compare(r.last) < 0 {
		if err := r.restart(l, node, newest); err != nil {
			return err
		}
	}
	if lost {
		r.bus.in.resync()
	}
	for {
		entries, err := node.XRangeN(l.ctx, r.name, "("+r.last.String(), "+", readCount).Result()
		if err != nil {
			return err
		}
		if more, err := r.entries(l, node, entries); !more || err != nil {
			return err
		}
	}
}

// lost reports whether entries behind the last one may be gone, or were gone
// before others read them.
func (r *reader) lost(l *link, node *goredis.Client, info *goredis.XInfoStream) (bool, error) {
	if r.last.IsZero() {
		return info.EntriesAdded != info.Length, nil
	}
	there, err := r.has(l, node, r.last)
	return !there, err
}

func (r *reader) has(l *link, node *goredis.Client, id cluster.ID) (bool, error) {
	at := id.String()
	entries, err := node.XRangeN(l.ctx, r.name, at, at, 1).Result()
	return len(entries) > 0, err
}

// restart deals with a stream that lost its end, or everything: those who have
// not read what was lost must know, and IDs must not begin again.
func (r *reader) restart(l *link, node *goredis.Client, newest cluster.ID) error {
	id := "*"
	if newest.Compare(r.last) < 0 {
		id = cluster.ID{Ms: r.last.Ms, Seq: r.last.Seq + 1}.String()
	}
	err := node.Do(l.ctx, r.bus.streams.mark(r.number, id).args...).Err()
	if err != nil && !strings.Contains(err.Error(), "equal or smaller") { // another server was first
		return err
	}
	// What servers of this program added meanwhile is known by its number.
	for from := "-"; ; {
		entries, err := node.XRangeN(l.ctx, r.name, from, r.last.String(), sinceCount).Result()
		if err != nil {
			return err
		}
		for _, e := range entries {
			if s, _ := e.Values[fieldStamp].(string); s != "" && s != gapMark {
				r.entry(e, cluster.ID{})
			}
		}
		if len(entries) < sinceCount {
			return nil
		}
		from = "(" + entries[len(entries)-1].ID
	}
}

// follow reads what is added.
func (r *reader) follow(l *link) error {
	node, err := l.node(r.name)
	if err != nil {
		return err
	}
	for l.ctx.Err() == nil {
		streams, err := node.XRead(l.ctx, &goredis.XReadArgs{Streams: []string{r.name, r.last.String()}, Count: readCount, Block: readBlock}).Result()
		if errors.Is(err, goredis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := r.entries(l, node, streams[0].Messages); err != nil {
			return err
		}
	}
	return nil
}

// entries delivers what follows the last entry. It reports whether there may be
// more; then it may also be that the end that is cut off has overtaken this
// reader.
func (r *reader) entries(l *link, node *goredis.Client, entries []goredis.XMessage) (more bool, err error) {
	before := r.last
	for _, e := range entries {
		if id, ok := cluster.ParseID(e.ID); ok {
			r.last = id
			r.entry(e, id)
		}
	}
	if len(entries) < readCount || before.IsZero() {
		return len(entries) == readCount, nil
	}
	there, err := r.has(l, node, before)
	if err == nil && !there {
		r.bus.in.resync()
	}
	return true, err
}

// entry delivers one entry.
func (r *reader) entry(e goredis.XMessage, id cluster.ID) {
	from, _ := e.Values[fieldUID].(string)
	mark, _ := e.Values[fieldStamp].(string)
	if mark == gapMark {
		if from != r.bus.self {
			r.bus.in.resync()
		}
		return
	}
	if _, ok := e.Values[fieldNamespace]; !ok {
		return
	}
	if from == r.bus.self {
		seq, _ := stamp(mark).parse()
		if m := r.bus.out.readBack(r.number, seq); m != nil {
			own := *m
			own.ID = r.raise(id)
			r.bus.in.own(&own)
		}
		r.bus.out.settleAfter(r.number)
		return
	}
	in, err := readEntry(e.Values)
	if err == nil && in.message != nil {
		in.message.ID = r.raise(id)
	}
	r.bus.deliver(r.name, in, err)
}

// raise returns an ID that is above what was delivered.
func (r *reader) raise(id cluster.ID) cluster.ID {
	if id.Compare(r.delivered) <= 0 {
		id = r.delivered
		id.Sub++
	}
	r.delivered = id
	return id
}
