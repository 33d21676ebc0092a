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
	oldest, _ := cluster.ParseID(info.FirstEntry.ID)
	switch {
	case newest.Compare(r.last) < 0:
		err = r.restart(l, node)
	case lost && oldest.Compare(r.last) <= 0: // it lost its end and went on
		err = node.Do(l.ctx, r.bus.streams.mark(r.number, "*").args...).Err()
	}
	if err != nil {
		return err
	}
	if lost {
		r.bus.in.resync()
	}
	for {
		entries, err := r.after(l, node, r.last)
		if err != nil {
			return err
		}
		r.entries(entries)
		if len(entries) < readCount {
			return nil
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

func (r *reader) after(l *link, node *goredis.Client, id cluster.ID) ([]goredis.XMessage, error) {
	return node.XRangeN(l.ctx, r.name, "("+id.String(), "+", readCount).Result()
}

// restart deals with a stream that lost its end, or everything: those who have
// not read what was lost must know, and IDs must not begin again.
func (r *reader) restart(l *link, node *goredis.Client) error {
	above := cluster.ID{Ms: r.last.Ms, Seq: r.last.Seq + 1}
	mark := r.bus.streams.mark(r.number, above.String())
	err := node.Do(l.ctx, mark.args...).Err()
	if err != nil && !strings.Contains(err.Error(), "equal or smaller") {
		return err
	}
	// What servers of this program added meanwhile is known by its number.
	from := "-"
	for {
		entries, err := node.XRangeN(l.ctx, r.name, from, r.last.String(), readCount).Result()
		if err != nil {
			return err
		}
		for _, e := range entries {
			if s, _ := e.Values[fieldStamp].(string); s != "" && s != gapMark {
				r.entry(e, cluster.ID{})
			}
		}
		if len(entries) < readCount {
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
		before := r.last
		streams, err := node.XRead(l.ctx, &goredis.XReadArgs{Streams: []string{r.name, before.String()}, Count: readCount, Block: readBlock}).Result()
		if errors.Is(err, goredis.Nil) {
			continue
		}
		if err != nil {
			return err
		}
		entries := streams[0].Messages
		r.entries(entries)
		// Who is so far behind may have been overtaken by the end that is cut off.
		if len(entries) == readCount && !before.IsZero() {
			there, err := r.has(l, node, before)
			if err != nil {
				return err
			}
			if !there {
				r.bus.in.resync()
			}
		}
	}
	return nil
}

func (r *reader) entries(entries []goredis.XMessage) {
	for _, e := range entries {
		id, ok := cluster.ParseID(e.ID)
		if !ok {
			continue
		}
		r.last = id
		r.entry(e, id)
	}
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
			own.From, own.ID = from, r.raise(id)
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
