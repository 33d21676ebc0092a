package socketio

import (
	"encoding/json"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
)

// A broadcast is an event that several sessions get, encoded once for all of
// them.
type broadcast struct {
	packet      []byte // without a stamp
	attachments [][]byte

	// Whom it is for: a room, unless target says more.
	room     string
	target   *cluster.Target
	position cluster.Position

	// Set when it gets its place in the order of the namespace.
	id cluster.ID
	at time.Time

	// stamped is for clients that can ask for what follows it, plain for the
	// others.
	stamped, plain sync.Once
	stampedFrame   engineio.Frame
	plainFrame     engineio.Frame

	heard atomic.Pointer[heard] // for guests, when there are any
}

func newBroadcast(namespace string, args []json.RawMessage, attachments [][]byte) *broadcast {
	return &broadcast{packet: appendPacket(nil, namespace, args, len(attachments)), attachments: attachments}
}

// frame returns the packet as it goes out.
func (b *broadcast) frame(stamped bool) engineio.Frame {
	if stamped {
		b.stamped.Do(func() { b.stampedFrame = frameOf(stamp(b.packet, b.id), b.attachments) })
		return b.stampedFrame
	}
	b.plain.Do(func() { b.plainFrame = frameOf(b.packet, b.attachments) })
	return b.plainFrame
}

// size is about what it costs to keep.
func (b *broadcast) size() int {
	n := 256 + 2*len(b.packet)
	for _, a := range b.attachments {
		n += 2 * len(a)
	}
	return n
}

// stamp returns an EVENT packet with an ID as its last argument. A client of
// version 4.6 or later keeps that and says it when it comes back.
func stamp(packet []byte, id cluster.ID) []byte {
	b := make([]byte, 0, len(packet)+48)
	b = append(b, packet[:len(packet)-1]...)
	b = append(b, `,"`...)
	b = id.Append(b)
	return append(b, `"]`...)
}

// frameOf returns a packet with its attachments, which nothing comes between.
func frameOf(packet []byte, attachments [][]byte) engineio.Frame {
	frame := engineio.TextFrame(packet)
	for _, a := range attachments {
		frame = frame.Then(engineio.BinaryFrame(a))
	}
	return frame
}

// recent keeps what was broadcast in a namespace lately, for clients that come
// back, and numbers it. Its methods may be called concurrently.
type recent struct {
	window   time.Duration // how long; 0 keeps nothing
	maxBytes int
	ordered  bool // most broadcasts come with an ID

	mu    sync.Mutex
	head  cluster.ID // of the latest broadcast
	sub   uint64     // the latest Sub that was given
	since cluster.ID // everything after it is here
	// dropped is the latest that was here and is not any more.
	dropped cluster.ID
	all     []*broadcast
	bytes   int
	local   time.Time // when the latest with an ID that only this server knows was added
}

// never is after every ID.
var never = cluster.ID{Ms: math.MaxUint64}

func newRecent(window time.Duration, maxBytes int, ordered bool) *recent {
	if ordered { // what is before the first is not here
		return &recent{window: window, maxBytes: maxBytes, ordered: true, since: never}
	}
	begun := cluster.ID{Ms: uint64(time.Now().UnixMilli())}
	return &recent{window: window, maxBytes: maxBytes, head: begun, since: begun}
}

// now returns the ID of the latest broadcast.
func (r *recent) now() cluster.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// add gives a broadcast its place: at id, or after the latest if that is zero,
// or if others have overtaken it.
func (r *recent) add(b *broadcast, id cluster.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sub = max(r.sub, id.Sub)
	if id.Compare(r.head) <= 0 {
		id = r.nextLocked()
	}
	if r.ordered && id.Sub > 0 {
		r.local = time.Now()
	}
	b.id, b.at, r.head = id, time.Now(), id
	if r.since == never && id.Sub == 0 || r.window <= 0 {
		r.since = id
	}
	if r.window <= 0 {
		return
	}
	r.all = append(r.all, b)
	r.bytes += b.size()
	for r.bytes > r.maxBytes {
		r.dropLocked()
	}
}

func (r *recent) nextLocked() cluster.ID {
	if r.ordered {
		return r.afterLocked(r.head)
	}
	return cluster.ID{Ms: r.head.Ms, Seq: r.head.Seq + 1}
}

// after returns an ID for what one session gets alone, after it got last.
func (r *recent) after(last cluster.ID) cluster.ID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.afterLocked(last)
}

func (r *recent) afterLocked(last cluster.ID) cluster.ID {
	r.sub++ // never the same twice, so that it ascends whatever last is
	return cluster.ID{Ms: last.Ms, Seq: last.Seq, Sub: r.sub}
}

func (r *recent) dropLocked() {
	b := r.all[0]
	r.all[0] = nil
	r.all = r.all[1:]
	r.bytes -= b.size()
	r.dropped = b.id
	if r.since != never {
		r.since = b.id
	}
}

// list returns what was broadcast after an ID, oldest first, up to the latest,
// and whether that is all of it.
func (r *recent) list(after cluster.ID) (all []*broadcast, through cluster.ID, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listLocked(after), r.head, after.Compare(r.since) >= 0
}

// follow is list for who has seen everything up to an ID: complete tells
// whether nothing has been dropped since that was not seen.
func (r *recent) follow(after cluster.ID) (all []*broadcast, through cluster.ID, complete bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listLocked(after), r.head, after.Compare(r.dropped) >= 0
}

func (r *recent) listLocked(after cluster.ID) []*broadcast {
	i, _ := slices.BinarySearchFunc(r.all, after, func(b *broadcast, id cluster.ID) int {
		if b.id.Compare(id) <= 0 {
			return -1
		}
		return 1
	})
	return slices.Clone(r.all[i:])
}

// raise makes later IDs ascend from one that another server has given.
func (r *recent) raise(id cluster.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sub = max(r.sub, id.Sub)
}

// hasLocal reports whether some of the broadcasts may have IDs that only this
// server knows: others know them by those that they got when the bus came up.
func (r *recent) hasLocal(up time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.local.IsZero() && (time.Since(r.local) < r.window || time.Since(up) < r.window)
}

// lost notes that broadcasts may be missing.
func (r *recent) lost() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all, r.bytes = nil, 0
	r.since, r.dropped = r.head, r.head
	if r.ordered {
		r.since = never
	}
}

// trim drops what is too old for any client to ask for.
func (r *recent) trim(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.all) > 0 && now.Sub(r.all[0].at) > r.window {
		r.dropLocked()
	}
	if len(r.all) == 0 {
		r.all = nil
	}
}
