package meet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/eventually"
	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/store/sqlite"
)

// hall is the rooms of servers in one process. It can lose what is published.
type hall struct {
	deaf atomic.Bool

	mu     sync.Mutex
	places map[*place]map[string]bool
}

type place struct {
	hall *hall
	hear func(meet.Delivery)
}

func (h *hall) Enter(hear func(meet.Delivery)) (meet.Place, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &place{h, hear}
	if h.places == nil {
		h.places = make(map[*place]map[string]bool)
	}
	h.places[p] = make(map[string]bool)
	return p, nil
}

func (h *hall) Publish(room string, version uint64, event string, payload json.RawMessage) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for p, rooms := range h.places {
		if rooms[room] && !h.deaf.Load() {
			p.hear(meet.Delivery{Room: room, Version: version, Event: event, Payload: payload})
		}
	}
	return nil
}

func (p *place) Follow(room string, read func() (uint64, error)) error {
	p.Join(room)
	_, err := read()
	return err
}

func (p *place) set(room string, in bool) {
	p.hall.mu.Lock()
	defer p.hall.mu.Unlock()
	if p.hall.places[p] != nil {
		p.hall.places[p][room] = in
	}
}
func (p *place) Join(room string)  { p.set(room, true) }
func (p *place) Leave(room string) { p.set(room, false) }

func (p *place) Close() {
	p.hall.mu.Lock()
	defer p.hall.mu.Unlock()
	delete(p.hall.places, p)
}

// frail is a store that can fail.
type frail struct {
	meet.Store
	fails atomic.Bool
}

var errAway = errors.New("the database is away")

func (f *frail) Leave(ctx context.Context, room, seat string) (meet.List, error) {
	if f.fails.Load() {
		return meet.List{}, errAway
	}
	return f.Store.Leave(ctx, room, seat)
}

func (f *frail) List(ctx context.Context, room string) (meet.List, error) {
	if f.fails.Load() {
		return meet.List{}, errAway
	}
	return f.Store.List(ctx, room)
}

type world struct {
	t     *testing.T
	hall  *hall
	store *frail
}

func newWorld(t *testing.T) *world {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Instances().Register(t.Context(), "here", time.Hour); err != nil {
		t.Fatal(err)
	}
	return &world{t, &hall{}, &frail{Store: db.Meetings()}}
}

func (w *world) server(owner string) *meet.Service {
	s := meet.New(meet.Options{Store: w.store, Rooms: w.hall, Owner: func() string { return owner }, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	w.t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return s
}

// A person keeps who is there, by what it hears.
type person struct {
	*meet.Participant
	mu      sync.Mutex
	others  map[string]bool
	known   map[string]bool // the others, and who has gone since: its last words may come after that
	heard   []string
	reasons []meet.Reason // of who went
	removed bool
}

func (p *person) hear(n meet.Notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch n.Kind {
	case meet.Entered:
		p.others, p.known = make(map[string]bool), make(map[string]bool)
		for _, m := range n.Members {
			p.others[m.ID], p.known[m.ID] = true, true
		}
	case meet.Came:
		p.others[n.Member.ID], p.known[n.Member.ID] = true, true
	case meet.Went:
		delete(p.others, n.Member.ID)
		p.reasons = append(p.reasons, n.Reason)
	case meet.Removed:
		p.removed = true
	case meet.Signalled, meet.Said:
		if !p.known[n.Member.ID] {
			p.heard = append(p.heard, "out of nowhere: "+n.Member.ID)
		}
		p.heard = append(p.heard, string(n.Body))
	}
}

func (p *person) sees(want int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.others) == want
}

func (w *world) come(s *meet.Service, room, id string) *person {
	w.t.Helper()
	p := &person{}
	who := &auth.Identity{User: id, Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	var err error
	if p.Participant, err = s.Join(context.Background(), meet.Joining{Identity: who, Meeting: room, ID: id, Name: id, Hear: p.hear}); err != nil {
		w.t.Error(err)
	}
	return p
}

// Many come and go at once, on two servers: in the end everybody who stayed sees
// the others, and nobody else; and nobody heard anything of somebody before it
// was there.
func TestComingAndGoing(t *testing.T) {
	w := newWorld(t)
	servers := []*meet.Service{w.server("here"), w.server("here")}
	var stayed []*person
	var mu sync.Mutex
	var all sync.WaitGroup
	for n := range 12 {
		all.Go(func() {
			s := servers[n%2]
			for round := range 5 {
				p := w.come(s, "r", fmt.Sprintf("%d-%d", n, round))
				p.Say("chat_message", json.RawMessage(`"hi"`))
				if round < 4 {
					p.Leave(context.Background(), meet.Leaving)
					continue
				}
				mu.Lock()
				stayed = append(stayed, p)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for _, p := range stayed {
		eventually.True(t, func() bool { return p.sees(11) })
	}
	for _, p := range stayed {
		p.mu.Lock()
		for _, text := range p.heard {
			if text != `"hi"` {
				t.Error(text)
			}
		}
		p.mu.Unlock()
		if p.Signal(p.ownID(stayed), "offer", nil) == nil {
			t.Error("a signal to oneself")
		}
	}
	for _, p := range stayed {
		p.Leave(context.Background(), meet.Leaving)
		p.Leave(context.Background(), meet.Leaving)
		if err := p.Say("chat_message", nil); !errors.Is(err, meet.ErrNotThere) {
			t.Errorf("who has left says something: %v", err)
		}
	}
	if s := servers[0].Stats(); s.Meetings != 0 || s.Participants != 0 {
		t.Errorf("what is left: %+v", s)
	}
}

// Who says that it leaves is not said to have lost its connection, however many
// go at once.
func TestWhyTheyWent(t *testing.T) {
	w := newWorld(t)
	s, other := w.server("here"), w.server("here")
	ann, bob := w.come(s, "r", "ann"), w.come(other, "r", "bob")
	var all sync.WaitGroup
	for n := range 20 {
		p := w.come(s, "r", fmt.Sprint(n))
		all.Go(func() { p.Leave(context.Background(), meet.Leaving) })
	}
	all.Wait()
	for _, p := range []*person{ann, bob} {
		eventually.True(t, func() bool { return p.sees(1) })
		p.mu.Lock()
		for _, reason := range p.reasons {
			if reason != meet.Leaving {
				t.Errorf("one of %d went as %s", len(p.reasons), reason)
			}
		}
		p.mu.Unlock()
		defer p.Leave(context.Background(), meet.Leaving)
	}
}

// ownID is the id that the others see and the person itself does not.
func (p *person) ownID(all []*person) string {
	for _, other := range all {
		if other != p {
			for id := range other.others {
				if !p.others[id] {
					return id
				}
			}
		}
	}
	return ""
}

// What could not be done while the database was away is done by a sweep, and
// announcements that are lost are made up for.
func TestSweep(t *testing.T) {
	w := newWorld(t)
	s := w.server("here")
	ann, bob := w.come(s, "r", "ann"), w.come(s, "r", "bob")
	other := w.server("here")
	cid := w.come(other, "r", "cid")
	eventually.True(t, func() bool { return ann.sees(2) && cid.sees(2) })

	w.store.fails.Store(true)
	bob.Leave(t.Context(), meet.Leaving)
	w.store.fails.Store(false)
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, func() bool { return ann.sees(1) && cid.sees(1) })

	w.hall.deaf.Store(true)
	dan := w.come(other, "r", "dan")
	w.hall.deaf.Store(false)
	if ann.sees(2) {
		t.Error("nothing was lost")
	}
	s.Doubt()
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, func() bool { return ann.sees(2) })

	// The participants of a server that is gone go, and hear so.
	ghost := w.server("gone")
	eve := w.come(ghost, "r", "eve")
	eventually.True(t, func() bool { return ann.sees(3) && dan.sees(3) })
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, func() bool { return ann.sees(2) && dan.sees(2) })
	eventually.True(t, func() bool {
		eve.mu.Lock()
		defer eve.mu.Unlock()
		return eve.removed
	})
	if err := eve.Mute(t.Context(), true); err != nil && !errors.Is(err, meet.ErrNotThere) {
		t.Error(err)
	}
	for _, p := range []*person{ann, cid, dan, eve} {
		p.Leave(context.Background(), meet.Gone)
	}
}

// No two meetings share a room, whatever their ids are.
func TestRoomNames(t *testing.T) {
	if meet.RoomName("a:b", "c") == meet.RoomName("a", "b:c") || meet.RoomName("a", "b") == meet.RoomName("a", "B") || meet.RoomName("a%3A", "b") == meet.RoomName("a:", "b") {
		t.Error("two meetings, one room")
	}
	for text, want := range map[string]bool{"session-uuid": true, "Jürgen ☕": true, "": false, "a\nb": false, "\xff": false, string(make([]byte, 3)): false} {
		if meet.Valid(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestOwnerless(t *testing.T) {
	w := newWorld(t)
	s := w.server("")
	id := &auth.Identity{User: "ann", Tenants: []auth.Membership{{ID: "acme", Role: auth.Member}}}
	if _, err := s.Join(t.Context(), meet.Joining{Identity: id, Meeting: "r", Name: "n"}); err == nil {
		t.Error("a server that must not own anything takes participants")
	}
	if _, err := s.Join(t.Context(), meet.Joining{Meeting: "r", Name: "n"}); err == nil {
		t.Error("nobody came in")
	}
}
