package rooms

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/cluster"
)

// A member that was in a room before it was put on hold is in it when it
// departs, with what has waited for it. One that was just coming in is not.
func TestDepartureOnHold(t *testing.T) {
	tab := New(Options[*inbox]{})
	was, comes := &inbox{}, &inbox{}
	tab.Join("run", was)
	for _, m := range []*inbox{was, comes} {
		tab.Follow("run", m, 0, func(after uint64) (uint64, error) {
			publish(tab, "run", 5)
			places := tab.Depart(m)
			if m == comes && len(places) != 0 || m == was && (len(places) != 1 || places[0].Room != "run" || !places[0].Mixed) {
				t.Errorf("places %+v", places)
			}
			return 5, nil
		})
	}
	if !slices.Equal(was.all(), []uint64{5}) || len(comes.all()) != 0 {
		t.Errorf("got %v and %v", was.all(), comes.all())
	}
	// What was more than is kept cannot be told any more.
	lost := &inbox{}
	tab.Join("run", lost)
	tab.Follow("run", lost, 0, func(after uint64) (uint64, error) {
		for n := range uint64(maxWaiting + 1) {
			publish(tab, "run", 6+n)
		}
		if places := tab.Depart(lost); len(places) != 1 || places[0].From != nowhere || !places[0].Mixed {
			t.Errorf("places %+v", places)
		}
		return 5, nil
	})
}

// What a first snapshot left out is still missing when the second fails.
func TestSecondSnapshotFails(t *testing.T) {
	tab := New(Options[*inbox]{})
	m := &inbox{}
	tab.Follow("run", m, 5, to(5))
	failed := errors.New("no")
	reads := 0
	tab.Follow("run", m, 0, func(after uint64) (uint64, error) {
		if reads++; reads > 1 {
			return 0, failed
		}
		for n := range uint64(maxWaiting + 1) {
			publish(tab, "run", 6+n)
		}
		return 5, nil
	})
	tab.Follow("run", m, 5, func(after uint64) (uint64, error) {
		reads = 10
		return 6 + maxWaiting, nil
	})
	if reads != 10 {
		t.Error("the gap was forgotten")
	}
}

// A member that returns does not get again what it had by another way, and
// what it had been served counts from before it got anything itself.
func TestReturnToARoomThatIsBehind(t *testing.T) {
	a, b := New(Options[*inbox]{}), New(Options[*inbox]{})
	first, m := &inbox{}, &inbox{}
	a.Join("run", first)
	a.Publish("run", numbered(3, 2))
	a.Join("run", m)
	places := a.Depart(m)
	if len(places) != 1 || places[0].Last != 3 {
		t.Fatalf("places %+v", places)
	}
	other := &inbox{}
	b.Join("run", other)
	b.Publish("run", numbered(2, 1))
	b.Return(m, places[0])
	b.Publish("run", numbered(3, 2)) // late
	b.Publish("run", numbered(4, 3))
	if !slices.Equal(m.all(), []uint64{4}) || !slices.Equal(other.all(), []uint64{2, 3, 4}) {
		t.Errorf("got %v and %v", m.all(), other.all())
	}
}

// Who comes into a room while a publication begins gets it, or comes after it.
func TestJoinWhileAPublicationBegins(t *testing.T) {
	var mu sync.Mutex
	var head cluster.ID
	now := func() cluster.ID {
		mu.Lock()
		defer mu.Unlock()
		return head
	}
	tab := New(Options[*inbox]{Now: now})
	m := &inbox{}
	joined := make(chan struct{})
	tab.Publish("run", Publication[*inbox]{
		Deliver: func(m *inbox, _ bool) { m.put(1) },
		Begin: func() cluster.ID {
			go func() {
				tab.Join("run", m)
				close(joined)
			}()
			select {
			case <-joined:
			case <-time.After(20 * time.Millisecond): // it waits
			}
			mu.Lock()
			defer mu.Unlock()
			head = cluster.ID{Ms: 7}
			return head
		},
	})
	<-joined
	if places := tab.Depart(m); places[0].From.Ms != 7 && len(m.all()) == 0 {
		t.Errorf("it came before the publication, at %v, and did not get it", places[0].From)
	}
}

// A publication that was meant for a room that has been vacated meanwhile
// reaches those who have come since, and so does what was fetched for it.
func TestPublicationToAVacatedRoom(t *testing.T) {
	fetching, fetched := make(chan uint64), make(chan []Publication[*inbox])
	tab := New(Options[*inbox]{Missed: func(_ string, after, until uint64) []Publication[*inbox] {
		fetching <- until
		return <-fetched
	}})
	m, n := &inbox{}, &inbox{}
	tab.Follow("run", m, 0, to(3))
	old := tab.rooms["run"]
	tab.Publish("run", numbered(6, 5))
	<-fetching
	place := tab.Depart(m)[0]
	if !place.Fetching || place.After != 3 {
		t.Errorf("place %+v", place)
	}
	tab.Return(n, place)
	tab.Served(n, "run", place.After)
	old.publishing.Lock()
	if ok := tab.deliver(old, numbered(4, 3)); ok {
		t.Error("delivered to nobody")
	}
	old.publishing.Unlock()
	fetched <- []Publication[*inbox]{numbered(4, 3), numbered(5, 4)}
	n.await(3)
	if !slices.Equal(n.all(), []uint64{4, 5, 6}) {
		t.Errorf("got %v", n.all())
	}
}

// What a member that has returned is sent by another way does not come again:
// neither when others lack it, nor where it goes on next.
func TestServedComesOnce(t *testing.T) {
	tab := New(Options[*inbox]{Missed: func(_ string, after, until uint64) (missed []Publication[*inbox]) {
		for n := after + 1; n <= until; n++ {
			missed = append(missed, numbered(n, n-1))
		}
		return missed
	}})
	behind, back, next := &inbox{}, &inbox{}, &inbox{}
	tab.Follow("run", behind, 0, to(2))
	for _, m := range []*inbox{back, next} {
		tab.Return(m, Place{Room: "run", Last: 2})
		tab.Served(m, "run", 4)
	}
	if places := tab.Depart(next); len(places) != 1 || places[0].Last != 4 {
		t.Errorf("it goes on from %+v", places)
	}
	tab.Publish("run", numbered(5, 4))
	behind.await(3)
	back.await(1)
	if got := back.all(); !slices.Equal(got, []uint64{5}) {
		t.Errorf("who was served got %v", got)
	}
	if got := behind.all(); !slices.Equal(got, []uint64{3, 4, 5}) {
		t.Errorf("who was not got %v", got)
	}
}
