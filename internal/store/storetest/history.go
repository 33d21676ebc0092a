package storetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/store"
)

func publication(room events.Room, text string, at time.Time) history.Publication {
	data, _ := json.Marshal(text)
	return history.Publication{Room: room, Event: "e", Data: data, At: at}
}

func newRoom() events.Room { return events.TenantRoom(uuid.NewString()) }

func histories(t *testing.T, s store.History) {
	ctx := t.Context()
	epoch, err := s.Epoch(ctx)
	check(t, err)
	again, err := s.Epoch(ctx)
	check(t, err)
	if epoch == "" || again != epoch {
		t.Errorf("epochs %q and %q", epoch, again)
	}
	a, b := newRoom(), newRoom()
	offsets, err := s.Append(ctx, []history.Publication{publication(a, "a1 \u0000é", now), publication(b, "b1", now), publication(a, "a2", now)})
	check(t, err)
	same(t, offsets, []history.Number{{Offset: 1}, {Offset: 1}, {Offset: 2}})
	var many []history.Publication
	for i := range 250 {
		many = append(many, publication(a, fmt.Sprint(i), now))
	}
	offsets, err = s.Append(ctx, many)
	check(t, err)
	same(t, []uint64{offsets[0].Offset, offsets[249].Offset}, []uint64{3, 252})

	entries, err := s.Entries(ctx, a, 0, 2, 1<<20)
	check(t, err)
	data, _ := json.Marshal("a1 \u0000é")
	same(t, entries, []history.Entry{{Offset: 1, Event: "e", Data: data, At: now}, {Offset: 2, Event: "e", Data: json.RawMessage(`"a2"`), At: now}})
	entries, err = s.Entries(ctx, a, 2, 1000, 10) // three have more than ten bytes
	check(t, err)
	same(t, len(entries), 4)
	entries, err = s.Entries(ctx, a, 252, 10, 10)
	check(t, err)
	same(t, len(entries), 0)
	heads, err := s.Heads(ctx, []events.Room{a, b, newRoom()})
	check(t, err)
	same(t, heads, map[events.Room]history.Head{a: {Offset: 252}, b: {Offset: 1}})
	heads, err = s.Heads(ctx, nil)
	check(t, err)
	same(t, len(heads), 0)
}

// historyWriters number the same rooms at the same time: no number is given
// out twice or left out, and who writes several rooms does not wait for ever.
func historyWriters(t *testing.T, s store.History) {
	ctx := t.Context()
	a, b := newRoom(), newRoom()
	const writers, times, each = 8, 20, 5
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[events.Room]map[uint64]bool{a: {}, b: {}}
	for w := range writers {
		all.Go(func() {
			for range times {
				var batch []history.Publication
				for i := range 2 * each {
					batch = append(batch, publication([]events.Room{a, b}[(w+i)%2], "x", now))
				}
				offsets, err := s.Append(ctx, batch)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for i, p := range batch {
					seen[p.Room][offsets[i].Offset] = true
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for room, offsets := range seen {
		if n := uint64(len(offsets)); n != writers*times*each || slices.Max(slices.Collect(maps.Keys(offsets))) != n {
			t.Errorf("room %s: %d numbers up to %d", room, n, slices.Max(slices.Collect(maps.Keys(offsets))))
		}
	}
}

// historyKeys publish once what has a key, whoever else does at the same time.
func historyKeys(t *testing.T, s store.History) {
	ctx := t.Context()
	a, b := newRoom(), newRoom()
	keyed := func(room events.Room, key string) history.Publication {
		p := publication(room, key, now)
		p.Key = key
		return p
	}
	appends := func(want []history.Number, all ...history.Publication) {
		t.Helper()
		got, err := s.Append(ctx, all)
		check(t, err)
		same(t, got, want)
	}
	appends([]history.Number{{Offset: 1}, {Offset: 2}, {Offset: 1, Known: true}, {Offset: 3}, {Offset: 1}},
		keyed(a, "k"), keyed(a, ""), keyed(a, "k"), keyed(a, ""), keyed(b, "k"))
	appends([]history.Number{{Offset: 4}, {Offset: 1, Known: true}}, keyed(a, "l"), keyed(a, "k"))
	appends([]history.Number{{Offset: 4, Known: true}}, keyed(a, "l"))
	var all sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for range 16 {
		all.Go(func() {
			got, err := s.Append(ctx, []history.Publication{keyed(b, "race"), keyed(a, "race")})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, want := range []uint64{2, 5} {
				if got[i].Offset != want {
					t.Errorf("got %+v", got)
				}
				if !got[i].Known {
					fresh++
				}
			}
		})
	}
	all.Wait()
	same(t, fresh, 2)
	entries, err := s.Entries(ctx, a, 0, 10, 1<<20)
	check(t, err)
	same(t, len(entries), 5)
}

// historyTrimming bounds rooms by count and age, and leaves their heads.
func historyTrimming(t *testing.T, s store.History) {
	ctx := t.Context()
	long, old, other := newRoom(), newRoom(), newRoom()
	fill := func(room events.Room, n int, at time.Time) {
		t.Helper()
		var all []history.Publication
		for range n {
			all = append(all, publication(room, "x", at))
		}
		_, err := s.Append(ctx, all)
		check(t, err)
	}
	trim := func(count int, before time.Time) {
		t.Helper()
		for i := 0; ; i++ {
			n, err := s.Trim(ctx, count, before, 50)
			check(t, err)
			if n == 0 {
				return
			}
			if i > 100 {
				t.Fatal("trimming does not end")
			}
		}
	}
	fill(long, 300, now)
	fill(old, 120, now.Add(-time.Hour))
	fill(old, 3, now)
	fill(other, 10, now)
	trim(10_000, now.Add(-time.Hour)) // exactly that old is not older
	heads, err := s.Heads(ctx, []events.Room{long, old, other})
	check(t, err)
	same(t, heads, map[events.Room]history.Head{long: {Offset: 300}, old: {Offset: 123}, other: {Offset: 10}})
	trim(20, now.Add(-time.Minute))
	heads, err = s.Heads(ctx, []events.Room{long, old, other})
	check(t, err)
	same(t, heads, map[events.Room]history.Head{long: {Offset: 300, Trimmed: 280}, old: {Offset: 123, Trimmed: 120}, other: {Offset: 10}})
	for room, first := range map[events.Room]uint64{long: 281, old: 121, other: 1} {
		entries, err := s.Entries(ctx, room, 0, 1000, 1<<20)
		check(t, err)
		same(t, entries[0].Offset, first)
		same(t, entries[len(entries)-1].Offset, heads[room].Offset)
	}
	trim(20, now.Add(time.Second)) // nothing is left
	offsets, err := s.Append(ctx, []history.Publication{publication(old, "x", now)})
	check(t, err)
	same(t, offsets, []history.Number{{Offset: 124}})
	heads, err = s.Heads(ctx, []events.Room{old})
	check(t, err)
	same(t, heads[old], history.Head{Offset: 124, Trimmed: 123})
}
