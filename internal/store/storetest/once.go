package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/store"
)

func claims(t *testing.T, s store.Once) {
	ctx := t.Context()
	name := func() once.Name { return once.Name{User: uuid.NewString(), Event: "e", ID: "1"} }
	at := func(d time.Duration) time.Time { return now.Add(d) }
	claim := func(n once.Name, hash string, when time.Duration) once.Claim {
		t.Helper()
		c, err := s.Claim(ctx, n, hash, uuid.NewString(), at(when), at(when+30*time.Second), at(when-time.Hour))
		check(t, err)
		return c
	}
	n := name()
	first := claim(n, "h", 0)
	same(t, []bool{first.Mine, first.Done, first.Again}, []bool{true, false, false})
	busy := claim(n, "h", time.Second)
	same(t, []any{busy.Mine, busy.Done, busy.Hash, busy.Seed}, []any{false, false, "h", first.Seed})
	same(t, claim(n, "other", time.Second).Hash, "h")
	same(t, claim(once.Name{User: n.User, Event: "other", ID: "1"}, "other", 0).Mine, true)
	check(t, s.Finish(ctx, n, "foreign", []byte("no")))
	check(t, s.Finish(ctx, n, first.Seed, []byte(`{"ok":true}`)))
	done := claim(n, "h", time.Hour) // exactly that old is not forgotten
	same(t, []any{done.Mine, done.Done, string(done.Reply)}, []any{false, true, `{"ok":true}`})
	check(t, s.GiveUp(ctx, n, first.Seed)) // what is done stays done
	check(t, s.Forget(ctx, n, first.Seed))
	same(t, claim(n, "h", time.Minute).Done, true)
	fresh := claim(n, "other", time.Hour+time.Second)
	same(t, []any{fresh.Mine, fresh.Again, fresh.Seed == first.Seed}, []any{true, false, false})

	// The lease ends, or is given up: the next goes on with the same seed.
	n = name()
	first = claim(n, "h", 0)
	same(t, claim(n, "h", 30*time.Second).Mine, false)
	again := claim(n, "h", 31*time.Second)
	same(t, []any{again.Mine, again.Again, again.Seed}, []any{true, true, first.Seed})
	same(t, claim(n, "h", 32*time.Second).Mine, false)
	check(t, s.GiveUp(ctx, n, first.Seed))
	same(t, claim(n, "other", 33*time.Second).Mine, false)
	again = claim(n, "h", 33*time.Second)
	same(t, []any{again.Mine, again.Again}, []any{true, true})
	check(t, s.Forget(ctx, n, first.Seed))
	same(t, claim(n, "other", 34*time.Second).Again, false)

	// Of many who claim the same one gets it, also when a lease has ended.
	n = name()
	for _, when := range []time.Duration{0, time.Minute} {
		var mine atomic.Int32
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				c, err := s.Claim(ctx, n, "h", uuid.NewString(), at(when), at(when+30*time.Second), at(-time.Hour))
				if err != nil {
					t.Error(err)
				}
				if c.Mine {
					mine.Add(1)
				}
			})
		}
		all.Wait()
		same(t, mine.Load(), int32(1))
	}

	old := once.Name{User: uuid.NewString(), Event: "e", ID: "old"}
	claim(old, "h", -48*time.Hour)
	removed := 0
	for {
		k, err := s.TrimClaims(ctx, at(-24*time.Hour), 10)
		check(t, err)
		if removed += k; k == 0 {
			break
		}
	}
	if removed == 0 {
		t.Error("nothing was removed")
	}
	same(t, claim(old, "other", -48*time.Hour).Mine, true)
	same(t, claim(n, "h", 61*time.Second).Mine, false)
}
