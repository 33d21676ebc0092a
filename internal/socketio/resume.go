package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/cluster"
	"github.com/roomcast/roomcast/internal/engineio"
	"github.com/roomcast/roomcast/internal/rooms"
)

// A resumption is a session that goes on where it was cut.
type resumption struct {
	*saved
	pid   string
	after cluster.ID // the client has got what came up to here
	// older are the broadcasts that were seen to be all that the client may
	// lack. They are kept, whatever is dropped while it is brought up to date.
	older []*broadcast
	seen  cluster.ID // of the latest that was here then
	lack  lack
	// foreign is whether broadcasts that only one server knows by their IDs have
	// others here.
	foreign bool
}

// returning is what a client that comes back says in its CONNECT.
type returning struct {
	PID    string `json:"pid"`
	Offset string `json:"offset"`
}

// maxPID bounds what others are asked about.
const maxPID = 64

// resume finds out whether the client of a session may go on with an earlier
// one, with all that it had: nil is no.
func (sp *space) resume(ctx context.Context, s *Session, id *auth.Identity) *resumption {
	var back returning
	if !s.recoverable || !bytes.Contains(s.handshake, []byte(`"pid"`)) || json.Unmarshal(s.handshake, &back) != nil || back.PID == "" || len(back.PID) > maxPID {
		return nil
	}
	r, why := sp.find(ctx, back, id)
	sp.srv.recovery.counts.asked(why)
	if why != "" {
		sp.srv.opts.Logger.Debug("session begins anew", "namespace", sp.Name, "reason", why)
		return nil
	}
	return r
}

// find returns the session that a client comes back to, or why it cannot.
func (sp *space) find(ctx context.Context, back returning, id *auth.Identity) (r *resumption, why string) {
	found := sp.srv.recovery.take(ctx, back.PID, ownerOf(id))
	switch {
	case found == nil:
		return nil, refusedUnknown
	case found.Namespace != sp.Name:
		found.unhold()
		return nil, refusedUnknown
	}
	r = &resumption{saved: found, pid: back.PID, after: found.Begun}
	if back.Offset != "" {
		var ok bool
		if r.after, ok = cluster.ParseID(back.Offset); !ok {
			found.unhold()
			return nil, refusedOffset
		}
	}
	switch {
	case !r.within():
		why = refusedTrimmed
	case !sp.reaches(ctx, r):
		why = refusedMissed
	case !sp.mayBeIn(ctx, id, r.Places):
		why = refusedForbidden
	default:
		return r, ""
	}
	found.unhold()
	return nil, why
}

// within reports whether what the client lacks can be told from what was
// saved.
func (r *resumption) within() bool {
	if r.after.Compare(later(r.First, r.Left)) < 0 || r.after.Compare(r.Last) > 0 {
		return false
	}
	for _, p := range r.Places {
		if p.Mixed && r.after.Compare(p.From) < 0 {
			return false
		}
	}
	return true
}

// reaches reports whether every broadcast that the client lacks can be had.
func (sp *space) reaches(ctx context.Context, r *resumption) bool {
	begun := sp.begun(r) // before they are listed
	missed, head, complete := sp.recent.list(r.after)
	// This server may be behind the one that the client comes from: what went to
	// the client alone must not overtake what has not come here yet.
	behind := head.Compare(inOrder(r.Last)) < 0
	r.foreign = r.Server != sp.srv.self()
	if complete && !behind && !(r.foreign && sp.recent.hasLocal(sp.srv.opts.Bus.Status().Since)) {
		r.older, r.seen = missed, head
		return !(r.foreign && (r.lacksLocal() || r.fetching())) && unbroken(missed, begun, r)
	}
	r.foreign = true
	if !sp.srv.recovery.shared() || r.lacksLocal() || r.fetching() || !sp.fetch(ctx, r) {
		return false
	}
	missed, r.seen, _ = sp.recent.list(r.latestFetched())
	r.older = append(r.older, missed...)
	return unbroken(r.older, begun, r)
}

// begun returns how far publications to the rooms have begun here.
func (sp *space) begun(r *resumption) map[string]uint64 {
	begun := make(map[string]uint64, len(r.Places))
	for _, p := range r.Places {
		begun[p.Room] = sp.rooms.Seen(p.Room)
	}
	return begun
}

// fetching reports whether something was being fetched when the client was
// cut: it is not where it should be in the order.
func (r *resumption) fetching() bool {
	return slices.ContainsFunc(r.Places, func(p rooms.Place) bool { return p.Fetching })
}

// latestFetched is the ID up to which broadcasts were fetched.
func (r *resumption) latestFetched() cluster.ID {
	if n := len(r.older); n > 0 {
		return later(r.after, r.older[n-1].id)
	}
	return r.after
}

// lacksLocal reports whether the client may lack broadcasts that only the
// server it comes from knows by their IDs.
func (r *resumption) lacksLocal() bool { return r.after.Compare(r.Local) < 0 }

// fetch reads from the bus what was broadcast since. While messages of this
// server wait for the bus, its clients have what is not to be read there.
func (sp *space) fetch(ctx context.Context, r *resumption) bool {
	bus := sp.srv.opts.Bus
	if status := bus.Status(); !status.Up || status.Waiting > 0 {
		return false
	}
	messages, all, err := bus.Since(ctx, sp.Name, inOrder(r.after))
	if err != nil || !all {
		return false
	}
	for _, m := range messages {
		b := received(m)
		b.id = m.ID
		r.older = append(r.older, b)
	}
	return true
}

// inOrder is an ID without what only one server knows of it.
func inOrder(id cluster.ID) cluster.ID { return cluster.ID{Ms: id.Ms, Seq: id.Seq} }

// unbroken reports whether the numbered broadcasts of each room follow what the
// session was served, and each other, as far as others here have got them.
func unbroken(missed []*broadcast, begun map[string]uint64, r *resumption) bool {
	last := make(map[string]uint64)
	for _, p := range r.Places {
		last[p.Room] = max(p.Last, p.After)
	}
	for _, b := range missed {
		if !r.wants(b) || b.position.Offset == 0 {
			continue
		}
		if before := last[b.room]; before > 0 && b.position.Prev > before && b.position.Prev < b.position.Offset {
			return false
		}
		last[b.room] = max(last[b.room], b.position.Offset)
	}
	for _, p := range r.Places {
		if before := last[p.Room]; before > 0 && before < begun[p.Room] {
			return false
		}
	}
	return true
}

// had returns the offset up to which the client has got the publications of a
// room by other IDs than they have here.
func (r *resumption) had(room string) uint64 {
	if !r.foreign {
		return 0
	}
	return r.Offsets[room]
}

// wants reports whether a broadcast is for the session.
func (r *resumption) wants(b *broadcast) bool {
	n := b.position.Offset
	if n > 0 && n <= r.had(b.room) {
		return false
	}
	in := func(room string) bool {
		return room == r.ID || slices.ContainsFunc(r.Places, func(p rooms.Place) bool {
			return p.Room == room && b.id.Compare(p.From) > 0 && (n == 0 || n > p.After && !(r.foreign && b.id.Sub > 0 && n <= p.Last))
		})
	}
	switch {
	case b.target == nil:
		return in(b.room)
	case slices.ContainsFunc(b.target.Except, in):
		return false
	}
	return len(b.target.Rooms) == 0 || slices.ContainsFunc(b.target.Rooms, in)
}

// mayBeIn reports whether a user may be in all of some rooms.
func (sp *space) mayBeIn(ctx context.Context, id *auth.Identity, places []rooms.Place) bool {
	for _, p := range places {
		if sp.MayStay == nil {
			return false
		}
		if may, err := sp.MayStay(ctx, id, events.Room(p.Room)); err != nil || !may {
			return false
		}
	}
	return true
}

// beRecoverable makes a session one that its client may come back to.
func (s *Session) beRecoverable(r *resumption) {
	if r != nil {
		s.pid = r.pid
		s.takeUp(r)
	} else {
		s.pid = newPID()
		s.trail.start(s.space.recent.now())
	}
	s.kept = make(chan struct{})
	s.space.srv.recovery.enter(s)
}

// welcome is the answer to a CONNECT that the library has accepted, as its
// client gets it.
func (s *Session) welcome(answer []byte) []byte {
	if !s.recoverable {
		return answer
	}
	b := appendHeader(nil, typeConnect, 0, s.namespace, false, 0)
	return append(b, `{"sid":"`+s.id+`","pid":"`+s.pid+`"}`...)
}

// takeUp puts a session where an earlier one was. What is published reaches it
// when it has been brought there by replay.
func (s *Session) takeUp(r *resumption) {
	s.resumption = r
	t := &s.trail
	t.mu.Lock()
	t.on, t.gated = true, true
	t.begun, t.last, t.first, t.covered = r.Begun, r.after, r.after, r.after
	t.own = slices.Clone(ownAfter(r.Own, r.after))
	for i := range t.own {
		t.own[i].at = time.Now() // it is sent again
		t.size += t.own[i].bytes()
	}
	if r.Server == s.space.srv.self() {
		t.local = r.Local
	}
	t.offsets = r.Offsets
	t.mu.Unlock()
	s.space.recent.raise(r.after)
	s.space.recent.raise(r.Last)
	for _, p := range r.Places {
		p.After = max(p.After, r.had(p.Room))
		s.space.rooms.Return(s, p)
	}
	// What comes from now on goes by way of the rooms; what came before is among
	// what it has missed, and must not be fetched for the rooms too.
	served := make(map[string]uint64)
	r.gather()
	r.look(s.space.recent)
	for _, e := range r.lack.events {
		if e.broadcast != nil {
			served[e.broadcast.room] = max(served[e.broadcast.room], e.broadcast.position.Offset)
		}
	}
	for _, p := range r.Places {
		s.space.rooms.Served(s, p.Room, max(p.After, p.Last, served[p.Room]))
	}
	r.unhold()
}

// replayPage is how much of what a client has missed is sent before it must
// have taken it, in bytes.
const replayPage = 64 << 10

// replay sends what the client has missed, in order, and then lets it have
// what is published.
func (s *Session) replay() {
	for !s.replayNext() {
		if s.Drain(context.Background()) != nil {
			return
		}
	}
}

// replayNext sends the next page, and reports whether that was the last.
func (s *Session) replayNext() (last bool) {
	r, t := s.resumption, &s.trail
	t.mu.Lock()
	defer t.mu.Unlock()
	r.look(s.space.recent) // here, for nothing may come in between when the gate opens
	if r.lack.broken && t.on {
		t.on = false // it begins anew
		s.link.conn.Close(engineio.ReasonSlow)
		return true
	}
	page := r.lack.page()
	if last = len(r.lack.events) == 0; last {
		t.gated = false
		t.covered = later(r.lack.through, r.after)
	}
	for _, e := range page {
		s.resend(e)
	}
	if last {
		s.releaseHeldLocked()
	}
	return last
}

func later(a, b cluster.ID) cluster.ID {
	if a.Compare(b) < 0 {
		return b
	}
	return a
}

// missedEvent is one that the client lacks: a broadcast, or one of its own.
type missedEvent struct {
	id        cluster.ID
	size      int
	broadcast *broadcast
	own       *own
}

// lack is what the client lacks and has not been sent. What was broadcast is
// looked at once, and the list goes on from there: what is in it cannot be
// dropped, and to look again takes no time.
type lack struct {
	events  []missedEvent // in order
	sent    cluster.ID    // of the latest event that was
	through cluster.ID    // of the latest broadcast that was looked at
	instead map[cluster.ID]bool
	offsets map[string]uint64 // of the latest event of each room, sent or not
	broken  bool              // something was dropped before it was looked at
}

// gather begins with what was kept.
func (r *resumption) gather() {
	r.lack = lack{sent: r.after, through: later(r.after, r.seen), instead: instead(r.Own), offsets: make(map[string]uint64)}
	mine := ownAfter(r.Own, r.after)
	for i := range mine {
		r.lack.events = append(r.lack.events, missedEvent{id: mine[i].ID, size: len(mine[i].Packet), own: &mine[i]})
	}
	r.add(r.older)
	r.older = nil
}

// look adds what has been broadcast since.
func (r *resumption) look(recent *recent) {
	all, through, complete := recent.follow(r.lack.through)
	r.add(all)
	r.lack.through = later(through, r.lack.through)
	r.lack.broken = r.lack.broken || !complete
}

// add takes those of some broadcasts, which are in order, that the client lacks.
func (r *resumption) add(all []*broadcast) {
	l := &r.lack
	inOrder := true
	for _, b := range all {
		l.through = later(b.id, l.through)
		if b.id.Compare(l.sent) <= 0 || l.instead[b.id] || !r.wants(b) {
			continue
		}
		if n := b.position.Offset; n > 0 {
			if n <= l.offsets[b.room] {
				continue // the same again
			}
			l.offsets[b.room] = n
		}
		if n := len(l.events); n > 0 && l.events[n-1].id.Compare(b.id) > 0 {
			inOrder = false
		}
		l.events = append(l.events, missedEvent{id: b.id, size: len(b.packet), broadcast: b})
	}
	if !inOrder {
		slices.SortStableFunc(l.events, func(a, b missedEvent) int { return a.id.Compare(b.id) })
	}
}

// page takes as much as may be sent at once.
func (l *lack) page() []missedEvent {
	size, n := 0, 0
	for n < len(l.events) && size < replayPage {
		size += l.events[n].size
		n++
	}
	page := l.events[:n]
	l.events = l.events[n:]
	if n > 0 {
		l.sent = page[n-1].id
	}
	return page
}

// resend sends one of them. The trail's mutex is held.
func (s *Session) resend(e missedEvent) {
	t := &s.trail
	if e.broadcast == nil {
		t.last = later(e.id, t.last)
		s.send(nil, e.own.Packet, e.own.Attachments)
		return
	}
	t.sentLocked(e.broadcast)
	s.link.conn.Send(e.broadcast.frame(true))
}

// stays are the places that the session has not left since.
func (s *Session) stays() []rooms.Place {
	return slices.DeleteFunc(s.places, func(p rooms.Place) bool { return slices.Contains(s.left, p.Room) })
}

// letGo saves a session that was cut, and lets those go on who wait for it.
// Nothing reaches its client by way of it any more.
func (s *Session) letGo() {
	t := &s.trail
	t.mu.Lock()
	if n := len(t.own); n > 0 { // it may not have been sent all of it again
		t.last = later(t.last, t.own[n-1].ID)
	}
	s.releaseHeldLocked()
	t.saved = true
	on := t.on
	if t.gated && s.space.recent.hasLocal(time.Now()) { // and the client may lack that
		t.local = never
	}
	keep := &saved{
		ID: s.id, Namespace: s.namespace, Places: s.stays(), Begun: t.begun, First: t.first, Left: t.left, Last: t.last, Local: t.local,
		Own: t.own, Offsets: t.offsets, Server: s.space.srv.self(),
	}
	t.mu.Unlock()
	defer close(s.kept)
	defer s.space.srv.recovery.leave(s)
	if !on {
		s.space.interest.releaseAll(s.held)
		return
	}
	keep.space, keep.held = s.space, s.held
	if keep.Owner = ownerOf(s.Identity()); s.resumption != nil {
		keep.State = s.resumption.State // it has not been taken up
	} else {
		s.guard("saving", func() { keep.State = s.space.Save(s) })
	}
	s.space.srv.recovery.keep(s.pid, keep)
}
