package storetest

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/meet"
	"github.com/roomcast/roomcast/internal/store"
)

func meetings(t *testing.T, db *store.DB) {
	ctx, s := t.Context(), db.Meetings()
	room, one, two := uuid.NewString(), alive(t, db), alive(t, db)
	seat := func(id string) meet.Member { return meet.Member{Seat: uuid.NewString(), ID: id, Name: "N " + id} }
	none, err := s.List(ctx, room)
	check(t, err)
	same(t, none, meet.List{})

	ada, bob := seat("ada"), seat("bob")
	first, err := s.Join(ctx, room, one, ada, "x", 3)
	check(t, err)
	same(t, first.Members, []meet.Member{ada})
	second, err := s.Join(ctx, room, two, bob, "x", 3)
	check(t, err)
	same(t, second.Members, []meet.Member{ada, bob})
	// An id is taken once in a meeting, and free in others.
	again := seat("ada")
	third, err := s.Join(ctx, room, two, again, "else", 3)
	check(t, err)
	again.ID = "else"
	same(t, third.Members, []meet.Member{ada, bob, again})
	elsewhere, err := s.Join(ctx, uuid.NewString(), two, seat("ada"), "else", 3)
	check(t, err)
	same(t, elsewhere.Members[0].ID, "ada")
	_, err = s.Join(ctx, room, two, seat("eve"), "x", 3)
	is(t, err, meet.ErrFull)

	muted, err := s.Mute(ctx, room, bob.Seat, true)
	check(t, err)
	bob.Muted = true
	same(t, muted.Members, []meet.Member{ada, bob, again})
	_, err = s.Mute(ctx, room, uuid.NewString(), true)
	is(t, err, meet.ErrNotThere)
	left, err := s.Leave(ctx, room, again.Seat)
	check(t, err)
	repeated, err := s.Leave(ctx, room, again.Seat)
	check(t, err)
	same(t, repeated, left) // nothing has changed, so there is no new version
	list, err := s.List(ctx, room)
	check(t, err)
	same(t, list, left)
	for i, versions := range [][2]uint64{{0, first.Version}, {first.Version, second.Version}, {second.Version, third.Version}, {third.Version, muted.Version}, {muted.Version, left.Version}} {
		if versions[0] >= versions[1] {
			t.Errorf("change %d: versions %v", i, versions)
		}
	}

	// Of an instance that is gone nobody stays.
	check(t, db.Instances().Renew(ctx, two, -time.Millisecond))
	swept, err := s.Sweep(ctx)
	check(t, err)
	list, err = s.List(ctx, room)
	check(t, err)
	same(t, list.Members, []meet.Member{ada})
	same(t, swept[room], list.Version)
	versions, err := s.Versions(ctx, []string{room, "none"})
	check(t, err)
	same(t, versions, map[string]uint64{room: list.Version})
	swept, err = s.Sweep(ctx)
	check(t, err)
	same(t, swept[room], uint64(0))

	// What is left of a meeting goes when it is old, and nobody is there.
	check(t, s.Forget(ctx, -time.Hour))
	list, err = s.List(ctx, room)
	check(t, err)
	same(t, len(list.Members), 1)
	_, err = s.Leave(ctx, room, ada.Seat)
	check(t, err)
	check(t, s.Forget(ctx, time.Hour))
	list, err = s.List(ctx, room)
	check(t, err)
	same(t, list.Version > 0, true)
	check(t, s.Forget(ctx, -time.Hour))
	list, err = s.List(ctx, room)
	check(t, err)
	same(t, list, meet.List{})
}

// meetingCrowds makes many come to a meeting at once: as many get in as it
// takes.
func meetingCrowds(t *testing.T, a, b *store.DB) {
	room, owner := uuid.NewString(), alive(t, a)
	var in, full atomic.Int32
	both(8, a, b, func(db *store.DB) {
		for range 5 {
			_, err := db.Meetings().Join(t.Context(), room, owner, meet.Member{Seat: uuid.NewString(), ID: "same", Name: "n"}, uuid.NewString(), 25)
			switch {
			case err == nil:
				in.Add(1)
			case errors.Is(err, meet.ErrFull):
				full.Add(1)
			default:
				t.Error(err)
			}
		}
	})
	same(t, in.Load(), int32(25))
	list, err := a.Meetings().List(t.Context(), room)
	check(t, err)
	same(t, len(list.Members), 25)
	same(t, in.Load()+full.Load(), int32(80))
}
