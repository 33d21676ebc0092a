package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// session is an open session.
type session struct {
	live *Live

	mu    sync.Mutex
	id    *auth.Identity
	rooms []events.Room
	heard []string // what was emitted, and "gone"
}

func (s *session) ID() string      { return "s1" }
func (s *session) Address() string { return "192.0.2.1" }
func (s *session) Identity() *auth.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

func (s *session) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, text)
}

func (s *session) Emit(p events.Payload) error {
	b, _ := json.Marshal(p)
	var v struct {
		ExpiresIn int
		Code      string
	}
	json.Unmarshal(b, &v)
	s.note(fmt.Sprint(p.EventName(), " ", v.ExpiresIn, v.Code))
	return nil
}

func (s *session) Rooms() []events.Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rooms)
}

func (s *session) Leave(room events.Room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rooms = slices.DeleteFunc(s.rooms, func(r events.Room) bool { return r == room })
}

func (s *session) Renew(id *auth.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id = id
}

func (s *session) Disconnect() {
	s.note("gone")
	s.live.Closed(s)
}

// said returns what the session heard since the last time.
func (s *session) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprint(s.heard)
	s.heard = nil
	return text
}

// bench is a Live whose next identity tests set.
type bench struct {
	*Live
	revocations *Revocations
	next        *auth.Identity
	verified    int
}

func newBench(t *testing.T) *bench {
	b := &bench{revocations: NewRevocations(newMemory(), quiet)}
	b.Live = NewLive(LiveOptions{
		Authenticate: func(context.Context, auth.Credential) (*auth.Identity, error) {
			b.verified++
			if b.next == nil {
				return nil, events.Errorf(events.CodeTokenInvalid, "no")
			}
			return b.next, nil
		},
		Revoked: b.revocations.Revoked, Leeway: 30 * time.Second, Logger: quiet,
	})
	b.revocations.Observe(b.Revoke)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return b
}

func (b *bench) open(id *auth.Identity, rules Rules, rooms ...events.Room) *session {
	s := &session{live: b.Live, id: id, rooms: rooms}
	b.Opened(s, rules)
	return s
}

func until(user string, d time.Duration) *auth.Identity {
	return &auth.Identity{
		User: user, Method: auth.MethodToken, Credential: fmt.Sprint(user, d), Issued: time.Now(), Expires: time.Now().Add(d),
		Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}},
	}
}

func expect(t *testing.T, what string, s *session, want string) {
	t.Helper()
	synctest.Wait()
	if got := s.said(); got != want {
		t.Errorf("%s: heard %s, want %s", what, got, want)
	}
}

func TestSessionsEndWithTheirToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		long, short, never := b.open(until("a", time.Hour), Rules{}), b.open(until("b", 10*time.Minute), Rules{}), b.open(&auth.Identity{User: "key"}, Rules{})
		brief := b.open(until("c", 20*time.Second), Rules{})
		old := b.open(until("d", -time.Second), Rules{}) // let in within the leeway
		expect(t, "past its end", old, "[auth_expiring 0]")
		late := b.open(until("e", -31*time.Second), Rules{})
		if got := late.said(); got != "[auth_ended 0USER_AUTH_TOKEN_EXPIRED gone]" { // before it does anything
			t.Errorf("let in too late: heard %s", got)
		}
		time.Sleep(9 * time.Second)
		expect(t, "before half", brief, "[]")
		time.Sleep(time.Second)
		expect(t, "half of a short life", brief, "[auth_expiring 10]")
		time.Sleep(20 * time.Second)
		expect(t, "past its end and the leeway", old, "[auth_ended 0USER_AUTH_TOKEN_EXPIRED gone]")
		time.Sleep(20 * time.Second)
		expect(t, "a short life", brief, "[auth_ended 0USER_AUTH_TOKEN_EXPIRED gone]")
		time.Sleep(8*time.Minute + 9*time.Second)
		expect(t, "too early", short, "[]")
		time.Sleep(time.Second)
		expect(t, "a minute before", short, "[auth_expiring 60]")
		time.Sleep(time.Minute + 29*time.Second)
		expect(t, "within the leeway", short, "[]")
		time.Sleep(time.Second)
		expect(t, "over", short, "[auth_ended 0USER_AUTH_TOKEN_EXPIRED gone]")
		b.Closed(long) // the client left
		time.Sleep(2 * time.Hour)
		expect(t, "left", long, "[]")
		expect(t, "never ends", never, "[]")
		if len(b.seats) != 1 || len(b.due.list) != 0 {
			t.Errorf("%d sessions and %d times are kept", len(b.seats), len(b.due.list))
		}
	})
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		allowed := events.Room("stays")
		var left []events.Room
		rules := Rules{
			Admit: func(id *auth.Identity) error {
				if id.Role("acme") == "" {
					return events.Errorf(events.CodePermissionDenied, "not here")
				}
				return nil
			},
			MayStay: func(_ context.Context, _ *auth.Identity, r events.Room) (bool, error) { return r == allowed, nil },
			Left:    func(_ Session, r events.Room) { left = append(left, r) },
		}
		s := b.open(until("ada", 2*time.Minute), rules, "goes", allowed, "another")
		time.Sleep(time.Minute)
		expect(t, "warning", s, "[auth_expiring 60]")
		b.next = until("ada", time.Hour)
		rooms, err := b.Refresh(t.Context(), s, auth.Credential{})
		if err != nil || !slices.Equal(rooms, []events.Room{"another", "goes"}) || !slices.Equal(s.Rooms(), []events.Room{allowed}) || !slices.Equal(left, rooms) {
			t.Errorf("%v %v, in %v, told %v", rooms, err, s.Rooms(), left)
		}
		time.Sleep(10 * time.Minute)
		expect(t, "past the first token", s, "[]")
		time.Sleep(49 * time.Minute)
		expect(t, "warning of the second", s, "[auth_expiring 60]")
		// What is refused changes nothing.
		for name, next := range map[string]*auth.Identity{"": nil, "INVALID_USER": until("eve", time.Hour)} {
			b.next = next
			if _, err := b.Refresh(t.Context(), s, auth.Credential{}); err == nil || name != "" && string(code(err)) != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		issuer := until("ada", time.Hour)
		issuer.Issuer = "https://elsewhere.example"
		b.next = issuer
		if _, err := b.Refresh(t.Context(), s, auth.Credential{}); code(err) != events.CodeInvalidUser {
			t.Errorf("another issuer: %v", err)
		}
		if s.Identity().User != "ada" || s.Identity().Issuer != "" {
			t.Errorf("%+v", s.Identity())
		}
		// Who may no longer be here at all goes.
		b.next = until("ada", time.Hour)
		b.next.Tenants = nil
		if _, err := b.Refresh(t.Context(), s, auth.Credential{}); code(err) != events.CodePermissionDenied {
			t.Errorf("downgraded: %v", err)
		}
		expect(t, "downgraded", s, "[auth_ended 0PERMISSION_DENIED gone]")
		b.next = until("ada", time.Hour)
		if _, err := b.Refresh(t.Context(), s, auth.Credential{}); code(err) != events.CodeConflict {
			t.Errorf("gone: %v", err)
		}
	})
}

// A renewal may come just as the timer sleeps until a later time.
func TestRefreshToLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.open(until("ada", 10*time.Hour), Rules{MayStay: func(context.Context, *auth.Identity, events.Room) (bool, error) {
			return false, events.Errorf(events.CodeInternal, "disk on fire")
		}}, "room")
		b.next = until("ada", 10*time.Second)
		if left, err := b.Refresh(t.Context(), s, auth.Credential{}); err != nil || len(left) != 1 || len(s.Rooms()) != 0 {
			t.Errorf("a room that nobody could decide on was kept, or left in silence: %v %v %v", s.Rooms(), left, err)
		}
		time.Sleep(5 * time.Second)
		expect(t, "warning", s, "[auth_expiring 5]")
	})
}

// The time may come while a session is being renewed.
func TestRefreshAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.open(until("ada", 2*time.Minute), Rules{})
		s.Renew(until("ada", time.Hour)) // and nothing is planned yet
		time.Sleep(10 * time.Minute)
		expect(t, "renewed", s, "[]")
		time.Sleep(49 * time.Minute)
		expect(t, "warning of the second", s, "[auth_expiring 60]")
		s.Renew(&auth.Identity{User: "ada"}) // something that does not end
		time.Sleep(10 * time.Minute)
		expect(t, "endless", s, "[]")
	})
}

func TestRevocationEndsSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ada, twice, bob := b.open(until("ada", time.Hour), Rules{}), b.open(until("ada", 2*time.Hour), Rules{}), b.open(until("bob", time.Hour), Rules{})
		if _, err := b.revocations.Revoke(t.Context(), Revocation{Kind: RevokeToken, ID: ada.Identity().Credential}); err != nil {
			t.Fatal(err)
		}
		// At once: no waiting here.
		if got := ada.said(); got != "[auth_ended 0CREDENTIAL_REVOKED gone]" {
			t.Errorf("revoked: %s", got)
		}
		if got := twice.said(); got != "[]" {
			t.Errorf("another token: %s", got)
		}
		b.revocations.Revoke(t.Context(), Revocation{Kind: RevokeUser, ID: "ada"})
		if got := twice.said(); got != "[auth_ended 0CREDENTIAL_REVOKED gone]" {
			t.Errorf("the user: %s", got)
		}
		// One that is let in while it is revoked does not stay.
		if got := b.open(twice.Identity(), Rules{}).said(); got != "[auth_ended 0CREDENTIAL_REVOKED gone]" {
			t.Errorf("late: %s", got)
		}
		b.next = until("bob", 3*time.Hour)
		b.revocations.Revoke(t.Context(), Revocation{Kind: RevokeToken, ID: b.next.Credential})
		b.Refresh(t.Context(), bob, auth.Credential{})
		if got := bob.said(); got != "[auth_ended 0CREDENTIAL_REVOKED gone]" {
			t.Errorf("renewed with what was revoked meanwhile: %s", got)
		}
	})
}

func TestRevocationsOfOthersAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.open(until("ada", time.Hour), Rules{})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { b.revocations.Run(ctx, 5*time.Second) })
		NewRevocations(b.revocations.store, quiet).Revoke(t.Context(), Revocation{Kind: RevokeUser, ID: "ada"})
		time.Sleep(4 * time.Second)
		expect(t, "before the bound", s, "[]")
		time.Sleep(time.Second)
		expect(t, "at the bound", s, "[auth_ended 0CREDENTIAL_REVOKED gone]")
		cancel()
		running.Wait()
	})
}

// renewedMeanwhile is renewed between two looks at it.
type renewedMeanwhile struct {
	*session
	next *auth.Identity
}

func (s *renewedMeanwhile) Identity() *auth.Identity {
	id := s.session.Identity()
	if s.next != nil && time.Until(id.Expires) <= -30*time.Second {
		s.Renew(s.next)
	}
	return id
}

func TestRefreshAsTheTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := &renewedMeanwhile{&session{live: b.Live, id: until("ada", time.Minute)}, until("ada", time.Hour)}
		b.Opened(s, Rules{})
		time.Sleep(50 * time.Minute)
		expect(t, "renewed", s.session, "[auth_expiring 30]")
		time.Sleep(9 * time.Minute)
		expect(t, "warning of the second", s.session, "[auth_expiring 60]")
		b.Closed(s)
	})
}

// A revocation by a clock that is behind takes nothing back.
func TestTheLaterRevocationCounts(t *testing.T) {
	m, now := newMemory(), time.Now()
	r := NewRevocations(m, quiet)
	for _, at := range []time.Time{now, now.Add(-time.Minute)} {
		m.AddRevocation(t.Context(), Revocation{Kind: RevokeUser, ID: "eve", At: at})
	}
	if err := r.Pull(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !r.Revoked(&auth.Identity{User: "eve", Issued: now.Add(-30 * time.Second)}) {
		t.Error("what was shut out is open again")
	}
}
