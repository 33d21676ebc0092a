package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"

	"github.com/roomcast/roomcast/internal/engineio"
)

// An event waits in the queue of its session, or is being handled.
type event struct {
	name        string
	args        []json.RawMessage
	attachments [][]byte
	id          uint64
	wantsAck    bool
	size        int // bytes it came in
}

// clone makes an event independent of the buffer that it was decoded in.
func (e event) clone() event {
	args := make([]json.RawMessage, len(e.args))
	for i := range args {
		args[i] = bytes.Clone(e.args[i])
	}
	e.args = args
	return e
}

// take puts an event in its place in the order, and runs it if it is first.
// It waits while the queue is full.
func (s *Session) take(t *engineio.Turn, e event) error {
	s.mu.Lock()
	s.waitLocked()
	switch {
	case s.state == stateEnded:
		s.mu.Unlock()
		return nil // sent before the client could know
	case t != nil && s.ready && !s.running && len(s.queue) == 0:
		s.running = true
		s.mu.Unlock()
		t.Work(func() { s.run(t, e) })
		return nil
	}
	s.queue = append(s.queue, e.clone())
	s.queued += e.size
	s.startLocked()
	s.mu.Unlock()
	return nil
}

// waitLocked holds the connection's reader back while the queue is full.
func (s *Session) waitLocked() {
	limits := &s.link.srv.opts
	for s.state != stateEnded && len(s.queue) > 0 && (len(s.queue) >= limits.QueueLen || s.queued >= limits.QueueBytes) {
		if s.room == nil {
			s.room = sync.NewCond(&s.mu)
		}
		s.stalled = true
		s.link.conn.Stall(true)
		s.room.Wait()
	}
	if s.stalled {
		s.stalled = false
		s.link.conn.Stall(false)
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
	if s.room != nil {
		s.room.Signal()
	}
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
	if e.attachments != nil {
		for i := range e.args {
			e.args[i], _ = replacePlaceholders(e.args[i], e.attachments) // checked on arrival
		}
	}
	reply := s.space.Handler.Dispatch(context.Background(), s, e.name, e.args, e.wantsAck)
	if e.wantsAck {
		s.reply(t, e.id, reply)
	}
}

// reply acknowledges an event with one value.
func (s *Session) reply(t *engineio.Turn, id uint64, value []byte) {
	b := appendHeader(make([]byte, 0, len(value)+len(s.namespace)+24), typeAck, 0, s.namespace, true, id)
	b = append(b, '[')
	b = append(b, value...)
	s.link.conn.Reply(t, append(b, ']'))
}

// acknowledged handles a client's acknowledgement. The server asks for none
// yet, so none can be expected.
func (s *Session) acknowledged(p *packet) error {
	if _, err := splitArray(p.data); err != nil {
		return err
	}
	return nil
}
