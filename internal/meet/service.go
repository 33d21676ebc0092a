package meet

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/waitgroup"
)

// A Service has the meetings of this server's participants. Its methods may be
// called concurrently.
type Service struct {
	opts    Options
	dropped atomic.Int64
	working sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	meetings map[string]*meeting // by room
	owed     map[string]string   // seats that the store may have, and must not: with their rooms
	forgot   time.Time           // when empty meetings were last looked for
}

// New returns a Service.
func New(opts Options) *Service {
	if opts.Capacity <= 0 {
		opts.Capacity = 25
	}
	return &Service{opts: opts, meetings: make(map[string]*meeting), owed: make(map[string]string)}
}

// Capacity returns how many participants a meeting has at most.
func (s *Service) Capacity() int { return s.opts.Capacity }

// Anonymous reports whether there are meetings for who does not say who it is.
func (s *Service) Anonymous() bool { return s.opts.Anonymous != "" }

// Joining is who comes to which meeting.
type Joining struct {
	// Identity is nil for who does not say who it is.
	Identity *auth.Identity
	// Tenant may be "" for users who are in one.
	Tenant string
	// Meeting is the id of the meeting. It begins with its first participant.
	Meeting string
	// ID is what the participant would like to be called; it is if nobody in
	// the meeting is, and gets an id otherwise.
	ID   string
	Name string
	// Hear is told what happens in the meeting, beginning with Entered: one
	// thing after the other. It must neither block nor call the participant.
	Hear func(Notice)
}

// Join lets somebody into a meeting. [Participant.Leave] must follow.
func (s *Service) Join(ctx context.Context, j Joining) (*Participant, error) {
	tenant, err := s.tenant(j.Identity, j.Tenant)
	if err != nil {
		return nil, err
	}
	if err := j.check(); err != nil {
		return nil, err
	}
	owner := s.opts.Owner()
	if owner == "" {
		return nil, events.Errorf(events.CodeConflict, "this server takes no participants at the moment: try again")
	}
	m, err := s.enter(RoomName(tenant, j.Meeting))
	if err != nil {
		return nil, err
	}
	p := &Participant{Tenant: tenant, meeting: m, seat: uuid.NewString(), hear: j.Hear}
	m.place.Join(seatRoom(p.seat))
	fallback := uuid.NewString()
	if j.ID == "" {
		j.ID = fallback
	}
	l, err := s.opts.Store.Join(ctx, m.room, owner, Member{Seat: p.seat, ID: j.ID, Name: j.Name}, fallback, s.opts.Capacity)
	if err == nil && !m.sit(p, l) {
		err = events.Errorf(events.CodeConflict, "this server was taken for dead meanwhile: try again")
	}
	if err != nil {
		if !errors.Is(err, ErrFull) {
			s.owe(m.room, p.seat) // it may have happened
		}
		m.place.Leave(seatRoom(p.seat))
		s.exit(m)
		return nil, err
	}
	s.announce(m.room, l.Version)
	return p, nil
}

// tenant decides in which tenant somebody is about to be.
func (s *Service) tenant(id *auth.Identity, tenant string) (string, error) {
	if id == nil {
		if s.opts.Anonymous == "" {
			return "", events.Errorf(events.CodeTokenNotFound, "nobody knows who you are: send a token")
		}
		if tenant != "" && tenant != s.opts.Anonymous {
			return "", events.Errorf(events.CodePermissionDenied, "its meetings are for those who say who they are")
		}
		return s.opts.Anonymous, nil
	}
	if tenant == "" {
		only, ok := id.OnlyTenant()
		if !ok {
			return "", events.FieldErrorf("tenant_id", "is missing, and you are not in exactly one tenant")
		}
		tenant = only
	}
	if !id.Can(auth.Meet, tenant) {
		return "", events.Errorf(events.CodePermissionDenied, "you may not take part in meetings of this tenant")
	}
	return tenant, nil
}

func (j Joining) check() error {
	for _, text := range []struct{ field, value string }{{"room_id", j.Meeting}, {"participant_id", j.ID}, {"participant_name", j.Name}} {
		if text.value == "" && text.field == "participant_id" {
			continue
		}
		if !Valid(text.value) {
			return events.FieldErrorf(text.field, "is not 1 to %d printable characters", maxText)
		}
	}
	return nil
}

// enter returns a meeting that follows its room. [Service.exit] must follow.
func (s *Service) enter(room string) (*meeting, error) {
	s.mu.Lock()
	m := s.meetings[room]
	if m == nil {
		m = newMeeting(s, room)
		s.meetings[room] = m
	}
	m.users++
	s.mu.Unlock()
	if err := m.begin(); err != nil {
		s.exit(m)
		return nil, err
	}
	return m, nil
}

func (s *Service) exit(m *meeting) {
	s.mu.Lock()
	m.users--
	last := m.users == 0
	if last {
		delete(s.meetings, m.room)
	}
	s.mu.Unlock()
	if last && m.place != nil {
		m.place.Close()
	}
}

// announce tells all servers that who is in a meeting has changed.
func (s *Service) announce(room string, version uint64) {
	s.publish(room, version, Presence, struct{}{})
}

func (s *Service) publish(room string, version uint64, event string, payload any) {
	raw, err := encode(payload)
	if err == nil {
		err = s.opts.Rooms.Publish(room, version, event, raw)
	}
	if err != nil {
		s.opts.Logger.Error("a meeting was not told", "event", event, "error", err)
	}
}

// owe remembers to remove a seat that could not be, or that nobody knows to be
// there.
func (s *Service) owe(room, seat string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owed[seat] = room
}

// How often empty meetings are looked for, and how long they stay.
const (
	forgetInterval = time.Minute
	emptyTime      = time.Hour
)

// Sweep removes who was here with a server that is gone, does what could not be
// done before, and reads the lists again that could not be read.
func (s *Service) Sweep(ctx context.Context) error {
	versions, err := s.opts.Store.Sweep(ctx)
	for room, version := range versions {
		s.announce(room, version)
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	owed := s.owed
	s.owed = make(map[string]string)
	forget := time.Since(s.forgot) > forgetInterval
	if forget {
		s.forgot = time.Now()
	}
	s.mu.Unlock()
	for seat, room := range owed {
		s.remove(ctx, room, seat)
	}
	for _, m := range s.all() {
		if m.isStale() {
			m.receive(Delivery{Version: math.MaxUint64, Event: Presence, Payload: json.RawMessage(`{}`)})
		}
	}
	if forget {
		return s.opts.Store.Forget(ctx, emptyTime)
	}
	return nil
}

// remove takes a seat out of the store and tells everybody.
func (s *Service) remove(ctx context.Context, room, seat string) {
	l, err := s.opts.Store.Leave(ctx, room, seat)
	if err != nil {
		s.opts.Logger.Warn("a participant could not be removed, and will be", "room", room, "error", err)
		s.owe(room, seat)
		return
	}
	s.announce(room, l.Version)
}

func (s *Service) all() (all []*meeting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.meetings {
		all = append(all, m)
	}
	return all
}

// Doubt has every list read again by the next Sweep: announcements may have been
// missed, or this server has been taken for dead and its participants are gone.
func (s *Service) Doubt() {
	for _, m := range s.all() {
		m.mu.Lock()
		m.stale = true
		m.mu.Unlock()
	}
}

// Versions returns those of meetings, by their rooms: how far announcements have
// got.
func (s *Service) Versions(ctx context.Context, rooms []string) (map[string]uint64, error) {
	versions, err := s.opts.Store.Versions(ctx, rooms)
	if err != nil {
		s.Doubt()
	}
	return versions, err
}

// Stats are numbers of this server: of its meetings and participants, and of
// messages that were dropped because too many waited.
type Stats struct {
	Meetings, Participants int
	Dropped                int64
}

// Stats returns the numbers of now.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{Meetings: len(s.meetings), Dropped: s.dropped.Load()}
	for _, m := range s.meetings {
		stats.Participants += m.users
	}
	return stats
}

// Close waits until what has arrived was handled, or ctx ends. It is for when
// all participants have left.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return waitgroup.Wait(ctx, &s.working)
}

// start reports whether a meeting may begin to handle what has arrived.
func (s *Service) start() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.working.Add(1)
	}
	return !s.closed
}
