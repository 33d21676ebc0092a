package faults

import (
	"context"
	"flag"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/bench"
	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/test/fleet"
)

var full = flag.Bool("full", false, "1,000 clients, and 30 s without Redis, instead of 60 clients and 3 s")

// beside lets the short forms, which mostly wait, run at the same time.
func beside(t *testing.T) {
	if !*full {
		t.Parallel()
	}
}

// stage is instances that share PostgreSQL and a Redis, and a load on them.
type stage struct {
	*fleet.Fleet
	redis *redistest.Server
	load  bench.JitterOptions
}

// set starts instances behind a Redis at an address.
func set(t *testing.T, instances int) *stage {
	beside(t)
	// What Redis holds when it dies is there when it is back, as it is where
	// people keep what must not be lost.
	redis := redistest.Start(t, redistest.Options{Keep: true})
	return setOn(t, instances, redis, redis.URL())
}

func setOn(t *testing.T, instances int, redis *redistest.Server, url string) *stage {
	s := &stage{redis: redis}
	s.Fleet = fleet.Start(t, fleet.Options{Instances: instances, Redis: url, Store: postgrestest.URL(t)})
	s.load = s.Load()
	s.load.PIDs, s.load.Seed = nil, 1 // processes come and go
	s.load.Clients, s.load.Every, s.load.Away = 60, 3*time.Second, 300*time.Millisecond
	if *full {
		s.load.Clients, s.load.Every, s.load.Away = 1000, 15*time.Second, 2*time.Second
	}
	return s
}

// calm takes the bad connections out of the load.
func (s *stage) calm() { s.load.Every = 24 * time.Hour }

// behindProxy gives clients one address, from which those instances are
// reached that say that they are ready.
func (s *stage) behindProxy(t *testing.T) {
	p := fleet.StartProxy(t, s.URLs()...)
	ctx, stop := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { p.Watch(ctx, s.Instances) })
	t.Cleanup(func() {
		stop()
		watching.Wait()
	})
	s.load.URLs = []string{p.URL}
}

// during runs the load, and with it what goes wrong; the load goes on for a
// while after that.
func (s *stage) during(t *testing.T, duration time.Duration, fault func()) bench.JitterResult {
	s.load.Duration = duration
	type outcome struct {
		bench.JitterResult
		err error
	}
	done := make(chan outcome, 1)
	begun := make(chan struct{})
	var once sync.Once
	s.load.Progress = func(_ int64, what string) {
		if what == "delivered" {
			once.Do(func() { close(begun) })
		}
	}
	go func() {
		r, err := bench.Jitter(t.Context(), s.load)
		done <- outcome{r, err}
	}()
	select {
	case <-begun:
		fault()
	case o := <-done:
		t.Fatal("the load did not begin: ", o.err)
	}
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	t.Logf("%+v", o.JitterResult)
	return o.JitterResult
}

// length is how long something takes in the full form, and in the short one.
func length(whole, short time.Duration) time.Duration {
	if *full {
		return whole
	}
	return short
}

// lasts returns when a fault has lasted for so long, or the test is over.
func lasts(t *testing.T, d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
	case <-t.Context().Done():
	}
}

// check fails the test if anything was lost without a word, came twice or out
// of order, or if somebody never returned.
func check(t *testing.T, r bench.JitterResult) {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}
