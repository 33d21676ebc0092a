package meet

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
)

// A meeting is one of which participants are on this server. What is published
// in it is handled one after the other by a goroutine that ends when there is
// nothing.
type meeting struct {
	svc   *Service
	room  string
	begin func() error
	place Place // set by begin
	users int   // who has entered it; guarded by the service's mutex

	mu      sync.Mutex
	list    List
	stale   bool                    // the list could not be read
	here    map[string]*Participant // on this server, by seat
	leaving map[string]time.Time    // seats that are about to be left, since when
	gone    map[string]departed     // who had a seat until a moment ago
	queue   []Delivery
	queued  int // bytes
	running bool
}

// maxQueued is how many bytes wait to be handled before more is dropped. The
// time that takes is that of reading a list.
const maxQueued = 8 << 20

func newMeeting(s *Service, room string) *meeting {
	m := &meeting{svc: s, room: room, here: make(map[string]*Participant), leaving: make(map[string]time.Time), gone: make(map[string]departed)}
	m.begin = sync.OnceValue(m.follow)
	return m
}

// A departed is who has gone, and when that was noticed.
type departed struct {
	Member
	at time.Time
}

// leavingTime is longer than it takes to leave, and until all that was said
// before has come.
const leavingTime = time.Minute

// follow reads who is there, and hears of changes from then on.
func (m *meeting) follow() (err error) {
	if m.place, err = m.svc.opts.Rooms.Enter(m.receive); err != nil {
		return err
	}
	return m.place.Follow(m.room, func() (uint64, error) {
		l, err := m.svc.opts.Store.List(context.Background(), m.room)
		if err != nil {
			return 0, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.apply(l)
		return l.Version, nil
	})
}

// message is what a participant said.
type message struct {
	From  string          `json:"from"` // its seat
	Event string          `json:"event,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
	At    time.Time       `json:"at,omitzero"`
}

// encode makes JSON in which texts look as they were written.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// receive takes what was published.
func (m *meeting) receive(d Delivery) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d.Event == leaving {
		var said message
		if json.Unmarshal(d.Payload, &said) == nil {
			m.leaving[said.From] = time.Now()
		}
		return
	}
	if d.Event != Presence && m.queued+len(d.Payload) > maxQueued {
		m.svc.dropped.Add(1)
		return
	}
	m.queue = append(m.queue, d)
	m.queued += len(d.Payload)
	if !m.running && m.svc.start() {
		m.running = true
		go m.work()
	}
}

func (m *meeting) work() {
	defer m.svc.working.Done()
	for {
		m.mu.Lock()
		if len(m.queue) == 0 {
			m.queue, m.running = nil, false
			m.mu.Unlock()
			return
		}
		d := m.queue[0]
		m.queue[0] = Delivery{}
		m.queue = m.queue[1:]
		m.queued -= len(d.Payload)
		m.mu.Unlock()
		m.handle(d)
	}
}

func (m *meeting) handle(d Delivery) {
	if d.Event == Presence {
		m.changed(d.Version)
		return
	}
	var said message
	if json.Unmarshal(d.Payload, &said) != nil {
		return
	}
	if !m.knows(said.From) { // whoever said it may have come a moment ago
		m.refresh()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	from, known := m.find(said.From)
	if !known {
		return
	}
	n := Notice{Kind: Said, Member: from, Event: said.Event, Body: said.Body, At: said.At}
	if d.Event == signalled {
		n.Kind = Signalled
	}
	for seat, p := range m.here {
		if seat != said.From && (d.Room == m.room || d.Room == seatRoom(seat)) {
			p.hear(n)
		}
	}
}

// changed reads the list again, if it is older than an announcement.
func (m *meeting) changed(version uint64) {
	m.mu.Lock()
	old := m.list.Version < version
	m.mu.Unlock()
	if old {
		m.refresh()
	}
}

func (m *meeting) refresh() {
	l, err := m.svc.opts.Store.List(context.Background(), m.room)
	if err != nil {
		m.svc.opts.Logger.Warn("who is in a meeting could not be read, and will be", "room", m.room, "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stale = err != nil
	if err == nil {
		m.apply(l)
	}
}

func (m *meeting) isStale() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stale
}

func (m *meeting) knows(seat string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.find(seat)
	return known
}

// find returns who has a seat, or had it a moment ago: a list may be newer than
// what was said before. The mutex is held.
func (m *meeting) find(seat string) (Member, bool) {
	if member, there := m.list.find(seat); there {
		return member, true
	}
	was, gone := m.gone[seat]
	return was.Member, gone
}

// find returns who has a seat.
func (l List) find(seat string) (Member, bool) {
	at := slices.IndexFunc(l.Members, func(m Member) bool { return m.Seat == seat })
	if at < 0 {
		return Member{}, false
	}
	return l.Members[at], true
}

// apply makes a list the latest, unless it is not, and tells who is here what
// has changed. The mutex is held.
func (m *meeting) apply(l List) {
	if l.Version <= m.list.Version {
		return
	}
	before := m.list
	m.list = l
	for _, old := range before.Members {
		if _, still := l.find(old.Seat); still {
			continue
		}
		reason := Gone
		if _, said := m.leaving[old.Seat]; said {
			reason = Leaving
			delete(m.leaving, old.Seat)
		}
		m.gone[old.Seat] = departed{old, time.Now()}
		if p := m.here[old.Seat]; p != nil { // others took this server for dead
			delete(m.here, old.Seat)
			p.hear(Notice{Kind: Removed, Member: old, Reason: reason})
		}
		m.tell(Notice{Kind: Went, Member: old, Reason: reason})
	}
	maps.DeleteFunc(m.leaving, func(_ string, since time.Time) bool { return time.Since(since) > leavingTime })
	maps.DeleteFunc(m.gone, func(_ string, d departed) bool { return time.Since(d.at) > leavingTime })
	for _, member := range l.Members {
		switch old, was := before.find(member.Seat); {
		case !was:
			m.tell(Notice{Kind: Came, Member: member})
		case old.Muted != member.Muted:
			m.tell(Notice{Kind: Muted, Member: member, Members: l.Members})
		}
	}
}

// tell tells who is here, but not whom it is about. The mutex is held.
func (m *meeting) tell(n Notice) {
	for seat, p := range m.here {
		if seat != n.Member.Seat {
			p.hear(n)
		}
	}
}

// sit takes in a participant that a list has, and reports whether the latest
// has it too.
func (m *meeting) sit(p *Participant, l List) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apply(l)
	if _, there := m.list.find(p.seat); !there {
		return false
	}
	m.here[p.seat] = p
	m.enter(p)
	return true
}

// enter tells a participant who is there. The mutex is held.
func (m *meeting) enter(p *Participant) {
	self, _ := m.list.find(p.seat)
	n := Notice{Kind: Entered, Member: self}
	for _, other := range m.list.Members {
		if other.Seat != p.seat {
			n.Members = append(n.Members, other)
		}
	}
	p.hear(n)
}
