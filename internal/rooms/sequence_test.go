package rooms

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/cluster"
)

// await returns when a member has got n publications.
func (i *inbox) await(n int) {
	for len(i.all()) < n {
		runtime.Gosched()
	}
}

// numbered publishes n, which comes after prev.
func numbered(n, prev uint64) Publication[*inbox] {
	return Publication[*inbox]{
		Position: cluster.Position{Offset: n, Prev: prev},
		Deliver:  func(m *inbox, _ bool) { m.put(n) },
	}
}

// to returns a snapshot that brings a member to through.
func to(through uint64) func(uint64) (uint64, error) {
	return func(uint64) (uint64, error) { return through, nil }
}

// What did not come is fetched, in its place, and what comes late or twice is
// dropped.
func TestMissedPublications(t *testing.T) {
	fetching, fetched := make(chan [2]uint64), make(chan []Publication[*inbox])
	tab := New(Options[*inbox]{Missed: func(_ string, after, until uint64) []Publication[*inbox] {
		fetching <- [2]uint64{after, until}
		return <-fetched
	}})
	m := &inbox{}
	tab.Follow("run", m, 0, to(3))
	tab.Publish("run", numbered(4, 3))
	tab.Publish("run", numbered(7, 6)) // 6 and, before it, 5 are missing
	if got := <-fetching; got != [2]uint64{4, 6} {
		t.Errorf("fetches %v", got)
	}
	tab.Publish("run", numbered(9, 7)) // numbers need not be dense
	tab.Publish("run", numbered(6, 5)) // late
	done := &inbox{}
	tab.Join("run", done)
	fetched <- []Publication[*inbox]{numbered(5, 4), numbered(6, 5)}
	tab.Publish("run", numbered(7, 6)) // twice
	m.await(5)
	if got := m.all(); !slices.Equal(got, []uint64{4, 5, 6, 7, 9}) {
		t.Errorf("got %v", got)
	}
	// Told that there is more, it fetches without a publication.
	tab.Refetch("run", 9) // has it
	tab.Refetch("run", 11)
	if got := <-fetching; got != [2]uint64{9, 11} {
		t.Errorf("fetches %v", got)
	}
	fetched <- nil // it cannot be had
	tab.Publish("run", numbered(12, 11))
	m.await(6)
	if heads := tab.Heads(); heads["run"] != 12 {
		t.Errorf("heads %v", heads)
	}
}

// A member whose snapshot ends before the first publication that came here
// reads on: what lies between never comes.
func TestFirstPublicationComesTooLate(t *testing.T) {
	tab := New(Options[*inbox]{Missed: func(string, uint64, uint64) []Publication[*inbox] { t.Error("fetched"); return nil }})
	m := &inbox{}
	var reads []uint64
	tab.Follow("run", m, 2, func(after uint64) (uint64, error) {
		reads = append(reads, after)
		if len(reads) == 1 {
			tab.Publish("run", numbered(8, 7))
			return 6, nil
		}
		return 8, nil
	})
	tab.Publish("run", numbered(9, 8))
	if !slices.Equal(reads, []uint64{2, 6}) || !slices.Equal(m.all(), []uint64{9}) {
		t.Errorf("reads %v, got %v", reads, m.all())
	}
}

// A place is taken up where it was left, and what the member had is known to
// be missing if it does not come.
func TestPlaces(t *testing.T) {
	now := cluster.ID{Ms: 1}
	a := New(Options[*inbox]{Now: func() cluster.ID { return now }})
	m := &inbox{}
	a.Follow("run", m, 2, to(5))
	a.Join("tenant", m)
	a.Publish("run", numbered(6, 5))
	places := a.Depart(m)
	a.Publish("run", numbered(7, 6))
	if len(m.all()) != 1 || a.Len() != 0 {
		t.Error("it is still there")
	}
	slices.SortFunc(places, func(x, y Place) int { return strings.Compare(x.Room, y.Room) })
	want := []Place{{Room: "run", From: now, Since: 2, After: 5, Last: 6}, {Room: "tenant", From: now, Since: fromNow}}
	if !slices.Equal(places, want) {
		t.Fatalf("places %+v", places)
	}
	fetched := make(chan [2]uint64, 1)
	b := New(Options[*inbox]{Missed: func(_ string, after, until uint64) []Publication[*inbox] {
		fetched <- [2]uint64{after, until}
		return nil
	}})
	n := &inbox{}
	for _, p := range places {
		b.Return(n, p)
		b.Served(n, p.Room, p.Last)
	}
	b.Publish("run", numbered(9, 8))
	if got := <-fetched; got != [2]uint64{6, 8} {
		t.Errorf("fetches %v", got)
	}
}

// What is much is fetched page by page, and nothing is published between the
// pages.
func TestMissedPageByPage(t *testing.T) {
	var pages []int
	tab := New(Options[*inbox]{})
	tab.opts.Missed = func(_ string, after, until uint64) (page []Publication[*inbox]) {
		tab.Publish("run", numbered(until+1+uint64(len(pages)), until+uint64(len(pages)))) // meanwhile
		for n := after + 1; n <= min(until, after+10); n++ {
			page = append(page, numbered(n, n-1))
		}
		pages = append(pages, len(page))
		return page
	}
	m := &inbox{}
	tab.Follow("run", m, 0, to(1))
	tab.Publish("run", numbered(26, 25))
	m.await(27)
	got := m.all()
	for i, n := range got {
		if n != uint64(i+2) {
			t.Fatalf("got %v", got)
		}
	}
	if !slices.Equal(pages, []int{10, 10, 4}) {
		t.Errorf("pages of %v", pages)
	}
}

// A log may hold what was never published, as its writer died in between. Who
// reads it there must not keep it from those who have read it before.
func TestReadAndNeverPublished(t *testing.T) {
	for _, had := range []uint64{0, 2} {
		tab := New(Options[*inbox]{Missed: func(_ string, after, until uint64) (missed []Publication[*inbox]) {
			for n := after + 1; n <= until; n++ {
				missed = append(missed, numbered(n, n-1))
			}
			return missed
		}})
		early, late := &inbox{}, &inbox{}
		tab.Follow("run", early, had, func(uint64) (uint64, error) { // while it reads, another reads more
			return had, tab.Follow("run", late, 0, to(4))
		})
		tab.Publish("run", numbered(5, 4))
		early.await(5 - int(had))
		late.await(1)
		if got := late.all(); !slices.Equal(got, []uint64{5}) {
			t.Errorf("who has read it got %v", got)
		}
		want := []uint64{1, 2, 3, 4, 5}[had:]
		if got := early.all(); !slices.Equal(got, want) {
			t.Errorf("who had %d got %v", had, got)
		}
	}
}
