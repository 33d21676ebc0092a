package redis

import (
	"cmp"
	"slices"
	"sync"

	"github.com/roomcast/roomcast/internal/cluster"
)

// An item is one thing to publish: a message, an answer, a note, or a gap, which
// tells the others that they may have missed something.
type item struct {
	seq      uint64
	message  *cluster.Message
	to       *cluster.Message // what response answers
	response *cluster.Response
	note     *cluster.Note
	gap      bool
	size     int

	stream  int  // the number of the stream that it goes into, -1 if it goes into none
	echo    bool // this server delivers it when it comes back
	echoed  bool // it was delivered without coming back
	waiting bool // it is in the queue
	gone    bool // it was lost from the queue, others will not get it
	landed  bool // it came back
}

// kept reports whether an item is worth being published later.
func (it *item) kept() bool {
	switch m := it.message; {
	case it.note != nil:
		return false
	case m == nil:
		return true
	default:
		// Who asks does not wait so long.
		return !m.Volatile && m.Kind != cluster.FetchSockets && m.Kind != cluster.ListSockets && m.Kind != cluster.ListRooms
	}
}

// An outbox holds what is to be published, and what is to come back: with
// streams this server delivers its broadcasts when it reads them, or at once,
// when they cannot come back soon.
type outbox struct {
	maxItems int
	maxBytes int64
	// wake has an element when there may be something to take.
	wake chan struct{}
	// echo is called, with the lock held, with what is to be delivered at once.
	echo func(*cluster.Message)

	mu       sync.Mutex
	up       bool
	seq      uint64  // of the last item
	queue    []*item // in order; when it is full the oldest that is not being sent is lost
	bytes    int64
	inflight int // items of the queue that are being sent, from the front
	// unread are items of each stream that are being sent or were sent, and did
	// not come back yet, in order. When there are maxItems, nothing is taken.
	unread [][]*item
	// reading is set while an item of a stream is being delivered: what is
	// behind it must wait.
	reading []bool
	lost    int64
	gap     bool   // something was lost, and the others have not been told
	mark    uint64 // the last item that waited when the connection came back
	marked  bool   // it has not been sent
}

func newOutbox(maxItems int, maxBytes int64, streams int, echo func(*cluster.Message)) *outbox {
	return &outbox{maxItems: maxItems, maxBytes: maxBytes, wake: make(chan struct{}, 1), echo: echo, unread: make([][]*item, streams), reading: make([]bool, streams)}
}

// put adds an item at the end.
func (o *outbox) put(it *item) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seq++
	it.seq = o.seq
	if !o.up {
		o.deliver(it)
		if !it.kept() {
			return
		}
	}
	o.push(it)
	o.evict()
	o.signal()
}

func (o *outbox) push(it *item) {
	it.waiting = true
	o.queue = append(o.queue, it)
	o.bytes += int64(it.size)
}

// deliver echoes an item, once.
func (o *outbox) deliver(it *item) {
	if it.echo && !it.echoed && !it.landed {
		it.echoed = true
		o.echo(it.message)
	}
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// evict makes the queue as small as it must be.
func (o *outbox) evict() {
	for len(o.queue) > o.inflight && (len(o.queue) > o.maxItems || o.bytes > o.maxBytes) {
		it := o.queue[o.inflight]
		if o.inflight == 0 {
			o.queue = o.queue[1:]
		} else {
			o.queue = slices.Delete(o.queue, o.inflight, o.inflight+1)
		}
		o.leave(it)
		if it.kept() {
			it.gone, o.gap = true, true
			o.lost++
		}
		if it.echo && !it.echoed { // after those that are to come back
			it.gone = true
			o.unread[it.stream] = append(o.unread[it.stream], it)
			o.settle(it.stream)
		}
	}
}

func (o *outbox) leave(it *item) {
	it.waiting = false
	o.bytes -= int64(it.size)
}

// settle delivers the first items of a stream as long as they cannot come back.
func (o *outbox) settle(stream int) {
	list := o.unread[stream]
	for len(list) > 0 && list[0].gone && !o.reading[stream] {
		o.deliver(list[0])
		list = list[1:]
	}
	o.unread[stream] = list
}

// take returns items to send, at most n and of about so many bytes, and nothing
// if there are none. They are sent when done is called.
func (o *outbox) take(n int, bytes int64) []*item {
	o.mu.Lock()
	defer o.mu.Unlock()
	unread := 0
	for _, list := range o.unread {
		unread += len(list)
	}
	if !o.up || unread >= o.maxItems {
		return nil
	}
	for o.inflight < len(o.queue) && o.inflight < n && bytes > 0 {
		it := o.queue[o.inflight]
		o.inflight++
		bytes -= int64(it.size)
		if it.stream >= 0 {
			o.unread[it.stream] = append(o.unread[it.stream], it)
		}
	}
	return slices.Clone(o.queue[:o.inflight])
}

// done removes what was taken.
func (o *outbox) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, it := range o.queue[:o.inflight] {
		o.leave(it)
	}
	clear(o.queue[:o.inflight])
	o.queue = o.queue[o.inflight:]
	o.inflight = 0
	if len(o.queue) == 0 {
		o.tellGap()
	}
}

// tellGap tells the others if something was lost.
func (o *outbox) tellGap() {
	if o.gap {
		o.gap = false
		o.seq++
		o.push(&item{seq: o.seq, gap: true, stream: -1})
	}
}

// caughtUp reports, once after each connect, that what waited then was sent.
func (o *outbox) caughtUp() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.up || !o.marked || len(o.queue) > 0 && o.queue[0].seq <= o.mark {
		return false
	}
	o.marked = false
	return true
}

// disconnect is called when nothing can be sent. What may have been sent waits
// to be sent again, and what this server delivers itself it delivers now.
func (o *outbox) disconnect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.up, o.inflight = false, 0
	for i, list := range o.unread {
		for _, it := range list {
			o.deliver(it)
		}
		o.unread[i] = slices.DeleteFunc(list, func(it *item) bool { return it.gone })
	}
	o.queue = slices.DeleteFunc(o.queue, func(it *item) bool {
		o.deliver(it)
		if !it.kept() {
			o.leave(it)
		}
		return !it.kept()
	})
}

// connect is called when sending can begin, and what came back has been read:
// what did not is sent again, before the rest.
func (o *outbox) connect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.queue
	o.queue, o.bytes = nil, 0
	var again []*item
	for i, list := range o.unread {
		again = append(again, list...)
		o.unread[i] = nil
	}
	again = append(again, rest...)
	slices.SortFunc(again, func(a, b *item) int { return cmp.Compare(a.seq, b.seq) })
	for _, it := range slices.Compact(again) {
		if !it.landed && it.kept() {
			o.push(it)
		}
	}
	o.up, o.mark, o.marked = true, o.seq, true
	o.evict()
	if len(o.queue) == 0 {
		o.tellGap()
	}
	o.signal()
}

// readBack is told which item of this server was read in a stream. It returns
// the message if it is to be delivered. settleAfter must follow.
func (o *outbox) readBack(stream int, seq uint64) *cluster.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reading[stream] = true
	list := o.unread[stream]
	for len(list) > 0 && list[0].seq < seq { // it is in no stream any more
		o.deliver(list[0])
		list[0].landed = true
		list = list[1:]
	}
	o.unread[stream] = list
	if len(list) == 0 || list[0].seq != seq {
		return nil // read before
	}
	it := list[0]
	o.unread[stream] = list[1:]
	it.landed = true
	if !it.echo || it.echoed {
		return nil
	}
	return it.message
}

// settleAfter delivers what waited for the message that readBack returned.
func (o *outbox) settleAfter(stream int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reading[stream] = false
	o.settle(stream)
	o.signal()
}

// figures returns how many items wait and how many were lost.
func (o *outbox) figures() (waiting int, lost int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue), o.lost
}
