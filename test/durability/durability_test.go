package durability

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/redis/redistest"
	"github.com/roomcast/roomcast/internal/store/postgres/postgrestest"
	"github.com/roomcast/roomcast/test/fleet"
)

var (
	full  = flag.Bool("full", false, "50 clients and 80 runs at a time, instead of 12 and 20")
	kills = flag.Int("kills", 5, "how often an instance is killed")
	seed  = flag.Uint64("seed", 1, "of the moments and of the load")
)

// TestKill kills the only instance, which keeps its runs in SQLite.
func TestKill(t *testing.T) {
	if !*full {
		t.Parallel()
	}
	prove(t, fleet.Options{})
}

// TestKillOneOfTwo kills one of two instances, which share PostgreSQL and Redis;
// the other takes over, or the same under another name.
func TestKillOneOfTwo(t *testing.T) {
	if !*full {
		t.Parallel()
	}
	redis := redistest.Start(t, redistest.Options{Keep: true})
	prove(t, fleet.Options{
		Instances: 2, Store: postgrestest.URL(t), Redis: redis.URL(),
		Config: "instance: {heartbeat: 300ms, expiry: 1s}\n",
	})
}

func prove(t *testing.T, o fleet.Options) {
	watchers, live := 12, 20
	if *full {
		watchers, live = 50, 80
	}
	rec := startRecorder(t)
	expected := set(t, fleet.Options{}, rec, 2, *seed).expected()
	s := set(t, o, rec, watchers, *seed)
	loading, stop := context.WithCancel(s.ctx)
	var driver sync.WaitGroup
	driver.Go(func() { s.load(loading, live, *seed) })
	began := time.Now()
	restarts, going := s.kill(*kills, *seed)
	stop()
	driver.Wait()
	s.calm.Store(true)
	lasted := time.Since(began)
	if !s.settle(settling) {
		s.fail("end", "%v after the last kill %d runs go on, and for %d clients", settling, s.going(), s.behind())
	}
	settled := time.Since(began) - lasted
	rep := s.check(expected)
	t.Logf("%d kills in %v with seed %d, %d to %d runs going on; over %v after the last", *kills, lasted.Round(time.Second), *seed, slices.Min(going), slices.Max(going), settled.Round(10*time.Millisecond))
	t.Logf("%d runs and %d that they waited for, %d entries, %d answers", rep.Runs, rep.Children, rep.Entries, rep.Answers)
	t.Logf("%d effects, %d of them repeated because they were not recorded", rep.Effects, rep.Repeated)
	t.Logf("%d updates and %d of widgets checked, for %d clients with %d visits, %d of them recovered, %d cut", rep.Updates, rep.WidgetUpdates, len(s.watchers), s.visits.Load(), s.recovered.Load(), s.cuts.Load())
	p50, p99 := recovery(restarts, rep.moments)
	t.Logf("from a restart to the first entry: p50 %v, p99 %v", p50.Round(time.Millisecond), p99.Round(time.Millisecond))
	s.blame()
}

// settling is how long runs may take after the last kill, the time included
// after which a request is taken up again that was being handled.
const settling = time.Minute

// kill kills instances, each at a random moment of up to 400 ms after it was
// ready, every eighth time before it is. It returns when they were started
// again, and how many runs were going on when they were killed.
func (s *stage) kill(times int, seed uint64) (restarts []time.Time, going []int) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := range times {
		in := s.Instances[rng.IntN(len(s.Instances))]
		after, early := time.Duration(rng.Int64N(int64(400*time.Millisecond))), i%8 == 7
		if !early {
			in.AwaitReady()
		}
		pause(s.ctx, after)
		going = append(going, s.going())
		in.Kill()
		restarts = append(restarts, time.Now())
		in.Start()
	}
	for _, in := range s.Instances {
		in.AwaitReady()
	}
	return restarts, going
}

// recovery is how long it took from restarts to the first entry of any run.
func recovery(restarts, entries []time.Time) (p50, p99 time.Duration) {
	slices.SortFunc(entries, time.Time.Compare)
	var took []time.Duration
	for _, at := range restarts {
		if i, _ := slices.BinarySearchFunc(entries, at, time.Time.Compare); i < len(entries) {
			took = append(took, entries[i].Sub(at))
		}
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

// blame fails the test if anything was as it must not be.
func (s *stage) blame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for what, all := range s.failures {
		shown := all[:min(3, len(all))]
		s.t.Errorf("%s: %s\n%s", what, fmt.Sprintf("%d times", len(all)), strings.Join(shown, "\n"))
	}
}
