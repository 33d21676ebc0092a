package socketio

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/roomcast/roomcast/internal/engineio"
)

// event is an [Event] that waits in the queue of its session, or is handled.
type event struct {
	Event
	id   uint64 // of the acknowledgement
	size int    // bytes it came in
	pace *pace  // set when it is about to be handled; nil for one that nobody knows
}

// clone makes an event independent of the buffer that it was decoded in.
func (e event) clone() event {
	size := 0
	for _, arg := range e.Args {
		size += len(arg)
	}
	args, b := make([]json.RawMessage, len(e.Args)), make([]byte, 0, size)
	for i, arg := range e.Args {
		at := len(b)
		b = append(b, arg...)
		args[i] = b[at:len(b):len(b)]
	}
	e.Args = args
	return e
}

// take puts an event in its place in the order, and runs it if it is first and
// will not take long.
func (s *Session) take(t *engineio.Turn, e event) {
	s.mu.Lock()
	if s.state == stateEnded {
		s.mu.Unlock() // sent before the client could know
		return
	}
	if t != nil && s.ready && !s.running && len(s.queue) == 0 {
		if e.pace = s.space.paces[e.Name]; e.pace.quick() {
			s.running = true
			s.mu.Unlock()
			e.pace.count(1)
			t.Begin()
			s.run(t, e)
			t.End()
			e.pace.count(-1)
			return
		}
	}
	s.queue = append(s.queue, e.clone())
	s.queued += e.size
	s.startLocked()
	if !s.holding && s.fullLocked() {
		s.holding = true
		s.link.conn.Hold()
	}
	s.mu.Unlock()
}

// fullLocked reports whether no more events should be taken in.
func (s *Session) fullLocked() bool {
	limits := &s.link.srv.opts
	return len(s.queue) > 0 && (len(s.queue) >= limits.QueueLen || s.queued >= limits.QueueBytes)
}

// releaseLocked takes events in again when there is room for many: to stop and
// go for each of them would cost more than they do.
func (s *Session) releaseLocked() {
	limits := &s.link.srv.opts
	if s.holding && len(s.queue) <= limits.QueueLen/2 && (s.queued <= limits.QueueBytes/2 || len(s.queue) == 0) {
		s.holding = false
		s.link.conn.Release()
	}
}

// startLocked sees to it that queued events run.
func (s *Session) startLocked() {
	if s.ready && !s.running && len(s.queue) > 0 {
		s.running = true
		e := s.nextLocked()
		s.link.conn.Go(func() { s.run(nil, e) })
	}
}

// nextLocked takes the first event out of the queue, which is not empty.
func (s *Session) nextLocked() event {
	e := s.queue[0]
	s.queue[0] = event{}
	s.queue = s.queue[1:]
	s.queued -= e.size
	if len(s.queue) == 0 {
		s.queue = nil
	}
	s.releaseLocked()
	e.pace = s.space.paces[e.Name]
	return e
}

// run handles e and everything queued behind it.
func (s *Session) run(t *engineio.Turn, e event) {
	for {
		s.handle(t, e)
		s.mu.Lock()
		if len(s.queue) == 0 {
			s.running = false
			s.mu.Unlock()
			s.finish()
			return
		}
		e = s.nextLocked()
		s.mu.Unlock()
	}
}

func (s *Session) handle(t *engineio.Turn, e event) {
	begun := time.Now()
	s.before = s.emitted.Load()
	reply := s.call(e.Event)
	e.pace.took(time.Since(begun))
	if e.WantsAck {
		s.acknowledge(t, e.id, reply)
	}
}

// call runs the handler.
func (s *Session) call(e Event) (reply Reply) {
	reply = panicked
	defer s.recovered("handling an event")
	return s.space.Handler.Handle(context.Background(), s, e)
}

// panicked is the reply of a handler that did.
var panicked = Reply{Args: []json.RawMessage{json.RawMessage(`{"ok":false,"error":{"code":"INTERNAL_ERROR","message":"internal server error"}}`)}}

// acknowledge sends the acknowledgement of an event.
func (s *Session) acknowledge(t *engineio.Turn, id uint64, r Reply) {
	kind := typeAck
	if len(r.Attachments) > 0 {
		kind = typeBinaryAck
	}
	scratch := packets.Get().(*[]byte)
	b := appendHeader((*scratch)[:0], kind, len(r.Attachments), s.namespace, true, id)
	b = appendArgs(append(b, '['), r.Args)
	s.send(t, b, r.Attachments)
	if cap(b) <= maxScratch {
		*scratch = b
		packets.Put(scratch)
	}
}

// packets holds buffers in which a packet is put together before it is copied
// to where it waits.
var packets = sync.Pool{New: func() any { return new([]byte) }}

const maxScratch = 64 << 10

// send sends a packet and its attachments, with nothing between them.
func (s *Session) send(t *engineio.Turn, packet []byte, attachments [][]byte) {
	if len(attachments) == 0 {
		s.link.conn.Reply(t, packet)
		return
	}
	frame := engineio.TextFrame(packet)
	for _, a := range attachments {
		frame = frame.Then(engineio.BinaryFrame(a))
	}
	s.link.conn.Send(frame)
}
