package rooms

import (
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/roomcast/roomcast/internal/cluster"
)

// inbox is a member that keeps what it gets.
type inbox struct {
	mu  sync.Mutex
	got []uint64
}

func (i *inbox) put(n uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, n)
}

func (i *inbox) all() []uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.got)
}

func publish(t *Table[*inbox], room string, n uint64) {
	t.Publish(room, Publication[*inbox]{Position: cluster.Position{Offset: n}, Deliver: func(m *inbox, _ bool) { m.put(n) }})
}

func TestMembership(t *testing.T) {
	tab := New(Options[*inbox]{})
	a, b := &inbox{}, &inbox{}
	if !tab.Join("x", a) || tab.Join("x", a) || !tab.Join("x", b) || !tab.Join("y", a) {
		t.Error("Join")
	}
	publish(tab, "x", 1)
	publish(tab, "y", 2)
	publish(tab, "nobody", 3)
	if !tab.Leave("x", b) || tab.Leave("x", b) || tab.Leave("z", b) {
		t.Error("Leave")
	}
	publish(tab, "x", 4)
	if got := a.all(); !slices.Equal(got, []uint64{1, 2, 4}) {
		t.Errorf("a got %v", got)
	}
	if got := b.all(); !slices.Equal(got, []uint64{1}) {
		t.Errorf("b got %v", got)
	}
	if got := tab.Rooms(a); !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("rooms %v", got)
	}
	if got := tab.Members("x"); !slices.Equal(got, []*inbox{a}) {
		t.Errorf("members %v", got)
	}
	tab.LeaveAll(a)
	if tab.Len() != 0 || len(tab.seats) != 0 || len(tab.rooms) != 0 || tab.Members("x") != nil {
		t.Error("empty rooms were left")
	}
}

// A follower gets the snapshot and what follows, once each, whatever was
// published while the snapshot was read.
func TestFollow(t *testing.T) {
	tab := New(Options[*inbox]{})
	m := &inbox{}
	var log []uint64
	add := func(n uint64) {
		log = append(log, n)
		publish(tab, "run", n)
	}
	add(1)
	add(2)
	err := tab.Follow("run", m, 0, func(uint64) (uint64, error) {
		add(3) // in the snapshot and published
		for _, n := range log {
			m.put(n)
		}
		through := log[len(log)-1]
		add(4)                 // published only
		publish(tab, "run", 0) // without a number: always delivered
		return through, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	add(5)
	publish(tab, "run", 2) // late from another process
	if got := m.all(); !slices.Equal(got, []uint64{1, 2, 3, 4, 0, 5}) {
		t.Errorf("got %v", got)
	}
}

// Following twice is following once; following from further back is not.
func TestFollowAgain(t *testing.T) {
	tab := New(Options[*inbox]{})
	m := &inbox{}
	follow := func(since uint64) (called bool) {
		tab.Follow("run", m, since, func(after uint64) (uint64, error) {
			called = true
			return 9, nil
		})
		return called
	}
	tab.Join("run", m)
	for _, tt := range []struct {
		since uint64
		want  bool
	}{{5, true}, {5, false}, {7, false}, {0, true}, {0, false}} {
		if got := follow(tt.since); got != tt.want {
			t.Errorf("since %d: snapshot %v, want %v", tt.since, got, tt.want)
		}
	}
}

func TestFollowFails(t *testing.T) {
	tab := New(Options[*inbox]{})
	m := &inbox{}
	boom := errors.New("boom")
	fail := func(uint64) (uint64, error) { publish(tab, "run", 1); return 0, boom }
	if err := tab.Follow("run", m, 0, fail); err != boom {
		t.Fatal(err)
	}
	publish(tab, "run", 2)
	if got := m.all(); len(got) != 0 || tab.Len() != 0 {
		t.Errorf("got %v", got)
	}
	// A member stays where it was before.
	tab.Join("run", m)
	if err := tab.Follow("run", m, 0, fail); err != boom {
		t.Fatal(err)
	}
	publish(tab, "run", 2)
	if got := m.all(); !slices.Equal(got, []uint64{1, 2}) {
		t.Errorf("got %v", got)
	}
}

// A snapshot that fails after the hold overflowed must not keep the member on
// hold: it goes on from now, and following again fills the gap.
func TestFollowFailsWithALoss(t *testing.T) {
	for _, how := range []string{"error", "panic"} {
		tab := New(Options[*inbox]{})
		m := &inbox{}
		tab.Follow("run", m, 5, func(uint64) (uint64, error) { return 5, nil })
		n := uint64(5)
		func() {
			defer func() { recover() }()
			tab.Follow("run", m, 0, func(uint64) (uint64, error) {
				for range maxWaiting + 1 {
					n++
					publish(tab, "run", n)
				}
				if how == "panic" {
					panic("boom")
				}
				return 0, errors.New("boom")
			})
		}()
		n++
		publish(tab, "run", n)
		if got := m.all(); !slices.Equal(got, []uint64{n}) {
			t.Errorf("%s: got %v, want the latest", how, got)
		}
		again := false
		tab.Follow("run", m, 5, func(uint64) (uint64, error) { again = true; return n, nil })
		if !again {
			t.Errorf("%s: the gap is taken for followed", how)
		}
	}
}

// A member that joined live and follows later is brought what it missed, and
// nothing twice, even if the snapshot stops where it came in and the hold
// overflows.
func TestFollowAfterJoiningLive(t *testing.T) {
	tab := New(Options[*inbox]{})
	m := &inbox{}
	const joinedAt = 3
	var n uint64
	add := func() { n++; publish(tab, "run", n) }
	for range joinedAt {
		add()
	}
	tab.Join("run", m)
	add()
	err := tab.Follow("run", m, 0, func(after uint64) (uint64, error) {
		through := n
		if after < joinedAt {
			through = joinedAt
			for range maxWaiting + 1 {
				add()
			}
		}
		for i := after + 1; i <= through; i++ {
			m.put(i)
		}
		return through, nil
	})
	add()
	got := m.all()
	slices.Sort(got)
	if err != nil || len(got) != int(n) || got[0] != 1 || got[len(got)-1] != n || len(slices.Compact(got)) != int(n) {
		t.Errorf("%v, got %v, want 1 to %d once each", err, m.all(), n)
	}
}

// Leaving and finding work the same when a member is in few rooms and in many.
func TestManyRooms(t *testing.T) {
	tab := New(Options[*inbox]{})
	m, other := &inbox{}, &inbox{}
	name := func(i int) string { return strconv.Itoa(i) }
	for round := range 2 {
		for i := range 3 * few {
			tab.Join(name(i), other)
			if !tab.Join(name(i), m) || tab.Join(name(i), m) {
				t.Fatalf("joining %d", i)
			}
		}
		for i := range 3 * few {
			i = (i*7 + round) % (3 * few) // in no particular order
			if !tab.Leave(name(i), m) || tab.Leave(name(i), m) {
				t.Fatalf("leaving %d", i)
			}
			publish(tab, name(i), uint64(i))
		}
		if len(m.all()) != 0 || len(tab.index) != 1 {
			t.Fatalf("got %v, %d indexes", m.all(), len(tab.index))
		}
	}
	tab.LeaveAll(other)
	if tab.Len() != 0 || len(tab.seats) != 0 || len(tab.index) != 0 {
		t.Errorf("left: %d rooms, %d members, %d indexes", tab.Len(), len(tab.seats), len(tab.index))
	}
}

// What a member in n rooms pays for one more.
func BenchmarkJoinLeave(b *testing.B) {
	for _, n := range []int{1, few, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			tab := New(Options[*inbox]{})
			m := &inbox{}
			for i := range n {
				tab.Join(strconv.Itoa(i), m)
			}
			b.ReportAllocs()
			for b.Loop() {
				tab.Join("x", m)
				tab.Leave("x", m)
			}
		})
	}
}

// More than is kept on hold leads to another snapshot, not to a loss.
func TestFollowFallsBehind(t *testing.T) {
	tab := New(Options[*inbox]{})
	m := &inbox{}
	var next, through uint64
	snapshots := 0
	err := tab.Follow("run", m, 0, func(after uint64) (uint64, error) {
		snapshots++
		if after != through {
			t.Errorf("snapshot %d begins after %d, want %d", snapshots, after, through)
		}
		for through < next {
			through++
			m.put(through)
		}
		if snapshots == 1 {
			for range 2 * maxWaiting {
				next++
				publish(tab, "run", next)
			}
		}
		return through, nil
	})
	if err != nil || snapshots != 2 {
		t.Fatalf("%d snapshots, %v", snapshots, err)
	}
	next++
	publish(tab, "run", next)
	for i, n := range m.all() {
		if n != uint64(i+1) {
			t.Fatalf("number %d is %d", i, n)
		}
	}
	if got := len(m.all()); got != 2*maxWaiting+1 {
		t.Errorf("got %d", got)
	}
}

// Members come and go while one room is published to: everyone who stays
// gets everything in order.
func TestConcurrentUse(t *testing.T) {
	tab := New(Options[*inbox]{})
	const n = 2000
	stayers := make([]*inbox, 10)
	for i := range stayers {
		stayers[i] = &inbox{}
		tab.Join("x", stayers[i])
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range n {
				m := &inbox{}
				tab.Join("x", m)
				tab.Follow("x", m, 0, func(uint64) (uint64, error) { return 0, nil })
				tab.LeaveAll(m)
				before := len(m.all())
				if len(m.all()) != before {
					t.Error("delivered after leaving")
				}
			}
		})
	}
	all.Go(func() {
		for i := range uint64(n) {
			publish(tab, "x", i+1)
		}
	})
	all.Wait()
	for _, m := range stayers {
		got := m.all()
		if len(got) != n || !slices.IsSorted(got) {
			t.Errorf("a stayer got %d, sorted %v", len(got), slices.IsSorted(got))
		}
	}
}
