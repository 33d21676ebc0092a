package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/zishang520/socket.io/v2/socket"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/namespaces"
)

// A Session is one client in one namespace.
type Session struct {
	link      *link
	namespace string
	internal  bool // see Namespace.Internal
	// handshake and credential are what the CONNECT packet brought; they are
	// dropped once the session is open.
	handshake  json.RawMessage
	credential auth.Credential

	// Set by bind, before any event is handled.
	space    *space
	id       string
	identity atomic.Pointer[auth.Identity] // changed by Renew
	// recoverable sessions may go on with another connection; pid is the secret
	// that their clients come back with.
	recoverable bool
	pid         string
	libraryID   string        // if it is not id
	resumption  *resumption   // until it is over, of a session that goes on
	kept        chan struct{} // closed when the session has been saved, or will not be

	held []string // rooms that are heard for a client that may come back

	trail trail
	// emitted counts events for this session alone, and before is how many there
	// were when the event came that is being handled.
	emitted atomic.Int64
	before  int64

	mu        sync.Mutex
	state     sessionState
	changed   chan struct{}  // closed when state changes, if anyone waits
	accepted  bool           // the client is being told that it has entered
	sock      *socket.Socket // set by open
	queue     []event
	queued    int                  // bytes in queue
	ready     bool                 // Opened has returned: events may run
	running   bool                 // an event is being handled, or Opened
	parts     [][]byte             // attachments of a packet that is not complete
	holding   bool                 // the connection takes nothing in until the queue has room
	closed    bool                 // Closed has been called
	acks      map[uint64]func(Ack) // that are waited for
	nextAck   uint64
	leaves    bool          // its client has said so
	departing bool          // it is leaving its rooms
	places    []rooms.Place // where it was then
	left      []string      // rooms that it left after its connection was cut
}

var _ namespaces.Session = (*Session)(nil)

type sessionState uint8

const (
	stateEntering sessionState = iota // the library is handling CONNECT
	stateOpen                         // events are handled
	stateEnded                        // left, refused or gone
)

func newSession(l *link, namespace string, handshake []byte) *Session {
	return &Session{link: l, namespace: namespace, handshake: handshake}
}

// ID implements [namespaces.Session].
func (s *Session) ID() string { return s.id }

// Identity implements [namespaces.Session].
func (s *Session) Identity() *auth.Identity { return s.identity.Load() }

// Emit implements [namespaces.Session].
func (s *Session) Emit(p events.Payload) error {
	payload, err := s.space.srv.encode(s.namespace, p)
	if err != nil {
		s.space.srv.opts.Logger.Error("event was not emitted", "event", p.EventName(), "error", err)
		return err
	}
	return s.emit(p.EventName(), []json.RawMessage{payload}, nil)
}

// EmitRaw emits an event whose arguments are JSON, with placeholders for its
// attachments. It is not checked against the contract.
func (s *Session) EmitRaw(event string, args []json.RawMessage, attachments [][]byte) error {
	return s.emit(event, args, attachments)
}

// Handshake returns the payload of the CONNECT packet as JSON, nil if there was
// none. It is forgotten when Opened has returned.
func (s *Session) Handshake() json.RawMessage { return s.handshake }

// Join implements [namespaces.Session].
func (s *Session) Join(room events.Room) { s.join(string(room)) }

func (s *Session) join(room string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateEnded {
		s.space.rooms.Join(room, s)
	}
}

// Follow implements [namespaces.Session]. A client that is cut before it is in
// the room, but after it was sent something of it, begins anew: else it would
// get that when it comes back, and all of it again when it repeats what was
// never acknowledged.
func (s *Session) Follow(room events.Room, since uint64, snapshot func(after uint64) (uint64, error)) error {
	err := s.space.rooms.Follow(string(room), s, since, snapshot)
	s.mu.Lock()
	ended, departing := s.state == stateEnded, s.departing
	s.mu.Unlock()
	if !ended {
		return err
	}
	if s.emitted.Load() != s.before {
		s.trail.stop()
	}
	if !departing { // else the rooms are being left, and their places kept
		s.space.rooms.LeaveAll(s)
	}
	return errEnded
}

// Leave implements [namespaces.Session].
func (s *Session) Leave(room events.Room) { s.leave(string(room)) }

func (s *Session) leave(room string) (was bool) {
	if was = s.space.rooms.Leave(room, s); was {
		s.trail.leave()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateEnded && s.recoverable { // its place may have been noted
		s.left = append(s.left, room)
	}
	return was
}

// bind gives the session its identity, before the client knows that it has
// entered; r is set if it goes on with an earlier one. It reports false when
// the connection has ended meanwhile.
func (s *Session) bind(sp *space, id string, identity *auth.Identity, r *resumption) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateEnded {
		if r != nil {
			s.link.conn.Go(func() { sp.srv.recovery.keep(r.pid, r.saved) })
		}
		return false
	}
	s.space, s.id = sp, id
	if r != nil {
		s.id = r.ID
	}
	s.identity.Store(identity)
	sp.sessions.add(s, id)
	if s.recoverable {
		s.beRecoverable(r)
	}
	if s.leaves {
		s.trail.stop()
	}
	return true
}

// accept notes that the client is being told that it has entered. From here
// on the session is opened whatever happens, and what the client sends is
// handled even if it is gone by then.
func (s *Session) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accepted = true
}

// open lets events run: first what the namespace does for a new session, then
// those that have been waiting.
func (s *Session) open(sock *socket.Socket) {
	s.mu.Lock()
	if s.closed { // it has ended before it was accepted, and is gone
		s.mu.Unlock()
		return
	}
	s.sock, s.accepted, s.running = sock, true, true
	s.mu.Unlock()
	s.link.conn.Busy() // until finish
	if s.space.Opened != nil {
		s.guard("opening", func() { s.space.Opened(context.Background(), s) })
	}
	if s.resumption != nil {
		s.replay()
		s.guard("restoring", func() { s.space.Restore(context.Background(), s, s.resumption.State) })
	}
	s.mu.Lock()
	s.resumption = nil
	s.handshake, s.credential = nil, auth.Credential{}
	s.ready, s.running = true, false
	if s.state == stateEntering {
		s.setLocked(stateOpen)
	}
	s.startLocked()
	s.mu.Unlock()
	s.finish()
}

// leaving notes that the client leaves of its own accord, before the library
// knows: it will not come back to this session, even if the connection ends
// first.
func (s *Session) leaving() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaves = true
	s.trail.stop()
}

// refused tells that the client may not enter.
func (s *Session) refused() {
	s.link.release(s)
	s.end(false)
}

// end is called when the session has left, was refused, or has lost its
// connection. What arrived before is still handled.
func (s *Session) end(cut bool) {
	s.mu.Lock()
	if s.state == stateEnded {
		s.mu.Unlock()
		return
	}
	s.setLocked(stateEnded)
	s.parts = nil
	if !s.accepted {
		s.queue, s.queued = nil, 0
		s.releaseLocked()
	}
	bound, accepted := s.space != nil, s.accepted
	s.departing = bound && cut && s.recoverable
	departing := s.departing
	s.closed = s.closed || !accepted && !departing // there is nothing to finish
	s.mu.Unlock()
	if !cut {
		s.trail.stop()
	}
	switch {
	case !bound:
	case departing:
		s.link.conn.Go(s.depart) // waits for what is reaching the members
	case accepted:
		s.space.rooms.LeaveAll(s)
		s.finish()
	default:
		s.space.sessions.remove(s)
		if s.recoverable {
			s.letGo()
		}
	}
}

// depart leaves the rooms of a session whose client may come back, with all
// that was on its way there.
func (s *Session) depart() {
	s.held = s.space.rooms.Rooms(s) // what is published there goes on being heard
	s.space.interest.holdAll(s.held)
	s.space.wide.Lock()
	places := s.space.rooms.Depart(s)
	s.space.wide.Unlock()
	s.trail.depart()
	s.mu.Lock()
	s.places, s.departing = places, false
	accepted := s.accepted // which may have come while it departed
	s.closed = s.closed || !accepted
	s.mu.Unlock()
	s.space.rooms.LeaveAll(s) // where a handler has put it meanwhile
	if accepted {
		s.finish()
		return
	}
	s.space.sessions.remove(s)
	s.letGo()
}

// finish tells the namespace that the session has ended, once, after its last
// event.
func (s *Session) finish() {
	s.mu.Lock()
	last := s.state == stateEnded && s.ready && !s.running && !s.departing && len(s.queue) == 0 && !s.closed
	s.closed = s.closed || last
	s.mu.Unlock()
	if !last {
		return
	}
	if s.recoverable && s.space.srv.recovery.shared() {
		go s.close() // saving it asks the bus, and waits up to saveTime
		return
	}
	s.close()
}

// close saves the session, if its client may come back, and forgets it.
func (s *Session) close() {
	if s.recoverable {
		s.letGo()
	}
	s.space.sessions.remove(s)
	if s.space.Closed != nil {
		s.guard("closing", func() { s.space.Closed(s) })
	}
	s.link.conn.Done()
}

// attach keeps an attachment, unless the session has ended.
func (s *Session) attach(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateEnded {
		s.parts = append(s.parts, data)
	}
}

// takeAttachments returns the attachments of a packet that is complete.
func (s *Session) takeAttachments() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := s.parts
	s.parts = nil
	return parts
}

// guard runs what a namespace does.
func (s *Session) guard(doing string, fn func()) {
	defer s.recovered(doing)
	fn()
}

// recovered is deferred where a panic is the fault of one session, not of the
// server.
func (s *Session) recovered(doing string) {
	if p := recover(); p != nil {
		s.link.srv.opts.Logger.Error("namespace panicked", "namespace", s.namespace, "doing", doing, "session", s.id,
			"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	}
}

func (s *Session) is(state sessionState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == state
}

func (s *Session) setLocked(state sessionState) {
	s.state = state
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// await waits until the session has reached a state, or its connection is gone.
func (s *Session) await(state sessionState) {
	for {
		s.mu.Lock()
		if s.state >= state {
			s.mu.Unlock()
			return
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.link.gone:
			return
		}
	}
}
