package root

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/rooms"
	"github.com/roomcast/roomcast/namespaces"
)

// hearer is a session in the rooms of a table.
type hearer struct {
	table *rooms.Table[*hearer]
	got   []uint64
}

var _ namespaces.Session = (*hearer)(nil)

func (*hearer) ID() string                  { return "s" }
func (*hearer) Identity() *auth.Identity    { return nil }
func (*hearer) Emit(events.Payload) error   { return nil }
func (*hearer) Drain(context.Context) error { return nil }
func (h *hearer) Join(room events.Room)     { h.table.Join(string(room), h) }
func (h *hearer) Leave(room events.Room)    { h.table.Leave(string(room), h) }
func (h *hearer) Follow(room events.Room, since uint64, snapshot func(uint64) (uint64, error)) error {
	return h.table.Follow(string(room), h, since, snapshot)
}

// stage is a run that is published to one session.
type stage struct {
	*runRooms
	s *hearer
	n uint64 // how much has happened
}

func newStage() *stage {
	return &stage{runRooms: newRunRooms(newFollowed()), s: &hearer{table: rooms.New(rooms.Options[*hearer]{})}}
}

func (st *stage) happen(times int) {
	for range times {
		st.n++
		n := st.n
		st.s.table.Publish("r", rooms.Numbered(n, func(h *hearer) { h.got = append(h.got, n) }))
	}
}

// tell emits what has happened after after, up to until.
func (st *stage) tell(after, until uint64) (uint64, error) {
	for i := after + 1; i <= min(until, st.n); i++ {
		st.s.got = append(st.s.got, i)
	}
	return st.n, nil
}

func (st *stage) join() { st.joinSince(0) }

func (st *stage) joinSince(since uint64) { st.runRooms.join(st.s, "r", since, st.tell) }

// enter lets a widget show the run from where it is.
func (st *stage) enter() {
	st.runRooms.enter(st.s, "r", st.n, st.tell)
}

func (st *stage) leave() { st.runRooms.leave(st.s, "r") }

// Whatever the reasons to be in the room of a run, and whichever of them ends,
// a client that has joined the run gets every update once.
func TestJoinsAndWidgetsShareARoom(t *testing.T) {
	for name, tt := range map[string]struct {
		play func(st *stage)
		want []uint64
	}{
		"a widget executes, then the client joins": {
			func(st *stage) { st.enter(); st.happen(2); st.join(); st.happen(1) }, []uint64{1, 2, 3},
		},
		"a widget subscribes, then the client joins": {
			func(st *stage) { st.happen(2); st.enter(); st.happen(2); st.join(); st.happen(1) }, []uint64{3, 4, 1, 2, 5},
		},
		"the client joins at once after a widget": {
			func(st *stage) { st.happen(2); st.enter(); st.join(); st.happen(1) }, []uint64{1, 2, 3},
		},
		"the client joins, then widgets come and go": {
			func(st *stage) {
				st.happen(1)
				st.join()
				st.enter()
				st.happen(1)
				st.enter()
				st.leave()
				st.leave()
				st.leave()
				st.happen(1)
			}, []uint64{1, 2, 3},
		},
		"a widget comes, the client joins, the widget goes": {
			func(st *stage) { st.enter(); st.happen(1); st.join(); st.leave(); st.happen(1) }, []uint64{1, 2},
		},
		"the client joins twice": {
			func(st *stage) { st.happen(1); st.join(); st.join(); st.happen(1) }, []uint64{1, 2},
		},
		"the client has some already": {
			func(st *stage) { st.happen(3); st.joinSince(2); st.happen(1) }, []uint64{3, 4},
		},
		"the client has some, and asks for more": {
			func(st *stage) {
				st.happen(3)
				st.joinSince(2)
				st.happen(1)
				st.joinSince(1)
				st.join()
				st.happen(1)
			}, []uint64{3, 4, 2, 1, 5},
		},
		"the client asks again for what it has": {
			func(st *stage) { st.happen(3); st.joinSince(1); st.happen(1); st.joinSince(3); st.happen(1) }, []uint64{2, 3, 4, 5},
		},
		"a widget, then a client that has some": {
			func(st *stage) { st.happen(3); st.enter(); st.happen(1); st.joinSince(1); st.happen(1) }, []uint64{4, 2, 3, 5},
		},
		"the client has some, then a widget subscribes": {
			func(st *stage) { st.happen(3); st.joinSince(2); st.enter(); st.happen(1) }, []uint64{3, 4},
		},
		"two widgets, of which one goes": {
			func(st *stage) { st.enter(); st.enter(); st.happen(1); st.leave(); st.happen(1) }, []uint64{1, 2},
		},
		"the last widget goes": {
			func(st *stage) { st.enter(); st.happen(1); st.leave(); st.happen(1) }, []uint64{1},
		},
		"much happens while the client joins after a widget": {
			func(st *stage) {
				st.happen(2)
				st.enter()
				st.happen(1)
				first := true
				st.runRooms.join(st.s, "r", 0, func(after, until uint64) (uint64, error) {
					through, err := st.tell(after, until)
					if first {
						st.happen(100) // more than is kept on hold
					}
					first = false
					return through, err
				})
			}, append([]uint64{3, 1, 2}, upTo(4, 103)...),
		},
	} {
		st := newStage()
		tt.play(st)
		if !slices.Equal(st.s.got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, st.s.got, tt.want)
		}
		st.forget(st.s)
		st.followed.forget(st.s)
		if len(st.places)+len(st.followed.from) != 0 {
			t.Errorf("%s: left %v %v", name, st.places, st.followed.from)
		}
	}
}

func upTo(from, to uint64) (all []uint64) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

// A join that fails leaves the session where it was, and may be repeated.
func TestJoinFails(t *testing.T) {
	boom := errors.New("boom")
	fail := func(uint64, uint64) (uint64, error) { return 0, boom }
	for _, widget := range []bool{false, true} {
		st := newStage()
		st.happen(1)
		if widget {
			st.enter()
		}
		if _, err := st.runRooms.join(st.s, "r", 0, fail); err != boom {
			t.Fatal(err)
		}
		if in := len(st.s.table.Rooms(st.s)) == 1; in != widget {
			t.Errorf("widget %v: in the room %v", widget, in)
		}
		st.happen(1)
		st.s.got = nil
		st.join()
		st.happen(1)
		if fmt.Sprint(st.s.got) != "[1 2 3]" {
			t.Errorf("widget %v: joining again got %v", widget, st.s.got)
		}
	}
}
