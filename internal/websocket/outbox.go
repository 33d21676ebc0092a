package websocket

import "sync"

// An outbox holds the frames that wait for the network, in order. It is
// guarded by the connection's mutex, except for head, which the flusher may
// read while it writes.
type outbox struct {
	// head is what is written next. It may begin within a frame and ends with
	// one, so it must leave as it is; what follows it can still be dropped.
	head  []byte
	owner *buffer  // the pooled buffer that head lies in, or nil
	queue [][]byte // frames shared with other connections, or batches
	batch *buffer  // frames of this connection alone, after queue
	size  int      // bytes in all of them
	// limit is what counted may come to. larges frames in queue are larger than
	// that, and have large bytes; largeHead tells that head is the rest of one.
	limit         int
	larges, large int
	largeHead     bool
}

// buffer is a pooled byte slice.
type buffer struct{ b []byte }

// bufferSize is what one write of many small frames carries at most.
const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, bufferSize)} }}

func (b *buffer) free() {
	if cap(b.b) > 4*bufferSize {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}

func (o *outbox) empty() bool { return o.size == 0 }

// isLarge reports whether a frame is larger than the limit.
func (o *outbox) isLarge(n int) bool { return n > o.limit }

// counted is what counts against the limit: not what is larger than that.
func (o *outbox) counted() int {
	n := o.size - o.large
	if o.largeHead {
		n -= len(o.head)
	}
	return n
}

// hasRoom reports whether a large frame of n bytes may be added. Whether the one
// before has begun to leave makes no difference: who sends cannot know.
func (o *outbox) hasRoom(n int) bool {
	larges := o.larges
	if o.largeHead {
		larges++
	}
	return larges < 2 || o.large+n <= largeLimits*o.limit
}

func (o *outbox) addLarge(frame []byte, n int) {
	if o.isLarge(len(frame)) {
		o.larges += n
		o.large += n * len(frame)
	}
}

// share appends frames by reference.
func (o *outbox) share(frames []byte) {
	if o.batch != nil {
		o.queue = append(o.queue, o.batch.b)
		o.batch = nil
	}
	o.queue = append(o.queue, frames)
	o.size += len(frames)
	o.addLarge(frames, 1)
}

// copy appends frames by value.
func (o *outbox) copy(frames []byte) {
	if o.batch == nil {
		o.batch = buffers.Get().(*buffer)
	}
	o.batch.b = append(o.batch.b, frames...)
	o.size += len(frames)
}

// begin makes the rest of frames, of which n bytes have left, the head of an
// empty outbox.
func (o *outbox) begin(frames []byte, n int, shared bool) {
	o.size, o.largeHead = len(frames)-n, o.isLarge(len(frames))
	if shared {
		o.head = frames[n:]
		return
	}
	o.owner = buffers.Get().(*buffer)
	o.owner.b = append(o.owner.b, frames[n:]...)
	o.head = o.owner.b
}

// next returns the bytes to write next, nil if there are none.
func (o *outbox) next() []byte {
	if len(o.head) > 0 || o.size == 0 {
		return o.head
	}
	switch {
	case len(o.queue) == 0:
		o.head, o.owner, o.batch = o.batch.b, o.batch, nil
	case len(o.queue) == 1 && o.batch == nil, len(o.queue[0]) >= bufferSize:
		o.head = o.queue[0]
		o.largeHead = o.isLarge(len(o.head))
		o.addLarge(o.head, -1)
		o.shift(1)
	default:
		o.gather()
	}
	return o.head
}

// gather fills head with as many small frames as one write should carry.
func (o *outbox) gather() {
	o.owner = buffers.Get().(*buffer)
	n := 0
	for n < len(o.queue) && len(o.owner.b)+len(o.queue[n]) <= bufferSize {
		o.owner.b = append(o.owner.b, o.queue[n]...)
		o.addLarge(o.queue[n], -1) // it can be, where the limit is lower than what one write carries
		n++
	}
	o.shift(n)
	o.head = o.owner.b
}

// shift drops the first n entries of the queue, and the queue's memory with
// the last of them.
func (o *outbox) shift(n int) {
	if n == len(o.queue) {
		o.queue = nil
		return
	}
	clear(o.queue[:n])
	o.queue = o.queue[n:]
}

// wrote tells that n bytes of head have left.
func (o *outbox) wrote(n int) {
	o.size -= n
	o.head = o.head[n:]
	if len(o.head) == 0 {
		o.release()
	}
}

func (o *outbox) release() {
	o.head, o.largeHead = nil, false
	if o.owner != nil {
		o.owner.free()
		o.owner = nil
	}
}

// drop forgets everything but head, which may be half way.
func (o *outbox) drop() {
	o.queue, o.larges, o.large = nil, 0, 0
	if o.batch != nil {
		o.batch.free()
		o.batch = nil
	}
	o.size = len(o.head)
}
