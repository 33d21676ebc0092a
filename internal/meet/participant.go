package meet

import (
	"context"
	"encoding/json"
	"slices"
	"time"
)

// A Participant is somebody in a meeting, by way of this server. Its methods
// may be called concurrently.
type Participant struct {
	// Tenant is whose meeting it is in.
	Tenant  string
	meeting *meeting
	seat    string
	hear    func(Notice)
	left    bool // guarded by the meeting's mutex
}

// Kind is what a [Notice] is of.
type Kind int

// The kinds. A meeting begins with Entered, and may begin again.
const (
	Entered   Kind = iota // Member is who hears it, Members are the others
	Came                  // Member has come
	Went                  // Member has gone, for Reason
	Muted                 // Member has been muted, or is not any more
	Signalled             // Member has sent a signal to who hears it
	Said                  // Member has said something to everybody
	Removed               // Member, who hears it, is not in the meeting any more
)

// Reason is why somebody has gone.
type Reason string

// The reasons.
const (
	Leaving Reason = "left"         // it said so
	Gone    Reason = "disconnected" // its connection has ended, or its server
)

// A Notice is something that happened in a meeting.
type Notice struct {
	Kind   Kind
	Member Member
	// Members are the others if Kind is Entered, all if it is Muted.
	Members []Member
	Reason  Reason
	// Event and Body are what was signalled or said, and At is when.
	Event string
	Body  json.RawMessage
	At    time.Time
}

// Signal sends something to one of the others.
func (p *Participant) Signal(to, event string, body json.RawMessage) error {
	m := p.meeting
	m.mu.Lock()
	there := m.here[p.seat] == p
	at := slices.IndexFunc(m.list.Members, func(other Member) bool { return other.ID == to && other.Seat != p.seat })
	var seat string
	if at >= 0 {
		seat = m.list.Members[at].Seat
	}
	m.mu.Unlock()
	switch {
	case !there:
		return ErrNotThere
	case at < 0:
		return ErrNoTarget
	}
	m.svc.publish(seatRoom(seat), 0, signalled, message{p.seat, event, body, time.Now().UTC()})
	return nil
}

// Say sends something to all the others.
func (p *Participant) Say(event string, body json.RawMessage) error {
	if !p.there() {
		return ErrNotThere
	}
	p.meeting.svc.publish(p.meeting.room, 0, said, message{p.seat, event, body, time.Now().UTC()})
	return nil
}

// Mute says whether the participant can be heard. That is between people:
// nothing is done about its sound.
func (p *Participant) Mute(ctx context.Context, muted bool) error {
	m := p.meeting
	m.mu.Lock()
	self, listed := m.list.find(p.seat)
	m.mu.Unlock()
	if !listed || self.Muted == muted {
		return nil
	}
	l, err := m.svc.opts.Store.Mute(ctx, m.room, p.seat, muted)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.apply(l)
	m.mu.Unlock()
	m.svc.announce(m.room, l.Version)
	return nil
}

// Look has the participant hear who is there once more.
func (p *Participant) Look() error {
	p.meeting.mu.Lock()
	defer p.meeting.mu.Unlock()
	if p.meeting.here[p.seat] != p {
		return ErrNotThere
	}
	p.meeting.enter(p)
	return nil
}

func (p *Participant) there() bool {
	p.meeting.mu.Lock()
	defer p.meeting.mu.Unlock()
	return p.meeting.here[p.seat] == p
}

// Leave takes the participant out of the meeting, which it does not hear any
// more.
func (p *Participant) Leave(ctx context.Context, reason Reason) {
	m := p.meeting
	m.mu.Lock()
	again, there := p.left, m.here[p.seat] == p
	p.left = true
	delete(m.here, p.seat)
	m.mu.Unlock()
	if again {
		return
	}
	m.place.Leave(seatRoom(p.seat))
	if there {
		if reason == Leaving { // is known before anybody can see that the seat is empty
			m.svc.publish(m.room, 0, leaving, message{From: p.seat})
		}
		m.svc.remove(ctx, m.room, p.seat) // others here are told after what it has said
	}
	m.svc.exit(m)
}
