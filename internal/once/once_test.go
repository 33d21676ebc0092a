package once_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roomcast/roomcast/internal/once"
	"github.com/roomcast/roomcast/internal/store"
	"github.com/roomcast/roomcast/internal/store/sqlite/sqlitetest"
)

var errHarmless = errors.New("refused")

type fixture struct {
	*once.Service
	t   *testing.T
	db  *store.DB
	now atomic.Int64
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	db := sqlitetest.Open(t)
	f := &fixture{t: t, db: db}
	f.Service = f.another()
	return f
}

// another is the service on another server.
func (f *fixture) another() *once.Service { return f.withStore(f.db.Once()) }

func (f *fixture) withStore(s once.Store) *once.Service {
	return once.New(once.Options{
		Store: s, Logger: slog.New(slog.DiscardHandler), Keep: time.Hour, Lease: time.Minute,
		Harmless: func(err error) bool { return errors.Is(err, errHarmless) },
		Now:      func() time.Time { return time.Unix(1_700_000_000+f.now.Load(), 0) },
	})
}

var name = once.Name{User: "ada", Event: "e", ID: "1"}

func (f *fixture) do(s *once.Service, n once.Name, hash string, fn func(context.Context) ([]byte, error)) string {
	f.t.Helper()
	reply, repeated, err := s.Do(f.t.Context(), n, hash, fn)
	return fmt.Sprint(string(reply), " ", repeated, " ", err)
}

func says(reply string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(reply), nil }
}

func (f *fixture) expect(got, want string) {
	f.t.Helper()
	if got != want {
		f.t.Errorf("got %s, want %s", got, want)
	}
}

func TestRepeats(t *testing.T) {
	f := newFixture(t)
	f.expect(f.do(f.Service, name, "h", says("first")), "first false <nil>")
	f.expect(f.do(f.Service, name, "h", says("second")), "first true <nil>")
	f.expect(f.do(f.another(), name, "h", says("second")), "first true <nil>")
	f.expect(f.do(f.Service, name, "other", says("second")), " false "+once.ErrOtherPayload.Error())
	for _, n := range []once.Name{{User: "bob", Event: "e", ID: "1"}, {User: "ada", Event: "f", ID: "1"}, {User: "ada", Event: "e", ID: "2"}} {
		f.expect(f.do(f.Service, n, "h", says("another")), "another false <nil>")
	}
	f.now.Add(3601) // it is forgotten
	f.expect(f.do(f.Service, name, "other", says("anew")), "anew false <nil>")
	if err := f.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.expect(f.do(f.Service, name, "other", says("twice")), "anew true <nil>")
}

// roll is a store that tells when so many have claimed something. Those that
// ask again are counted once: their seed is the same.
type roll struct {
	once.Store
	mu       sync.Mutex
	seen     map[string]bool
	missing  int
	complete chan struct{} // closed then
}

func (r *roll) Claim(ctx context.Context, n once.Name, hash, seed string, now, until, forgotten time.Time) (once.Claim, error) {
	claim, err := r.Store.Claim(ctx, n, hash, seed, now, until, forgotten)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[seed] {
		if r.seen == nil {
			r.seen = make(map[string]bool)
		}
		r.seen[seed] = true
		if r.missing--; r.missing == 0 {
			close(r.complete)
		}
	}
	return claim, err
}

// Of many who ask at once, on two servers, one does it and all get its reply.
func TestConcurrentRepeats(t *testing.T) {
	f := newFixture(t)
	const askers = 20
	asked := &roll{Store: f.db.Once(), missing: askers, complete: make(chan struct{})}
	servers := []*once.Service{f.withStore(asked), f.withStore(asked)}
	var times atomic.Int32
	var all sync.WaitGroup
	for i := range askers {
		all.Go(func() {
			reply, _, err := servers[i%2].Do(t.Context(), name, "h", func(context.Context) ([]byte, error) {
				select {
				case <-asked.complete: // all the others came meanwhile
				case <-t.Context().Done():
				}
				return fmt.Appendf(nil, "time %d", times.Add(1)), nil
			})
			if string(reply) != "time 1" || err != nil {
				t.Error(string(reply), err)
			}
		})
	}
	all.Wait()
}

// Who waits for the first does so no longer than its own deadline.
func TestWaitingEnds(t *testing.T) {
	f := newFixture(t)
	f.do(f.Service, name, "h", func(context.Context) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, _, err := f.another().Do(ctx, name, "h", says("no")); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		return nil, nil
	})
}

// What failed may be tried again: with another payload if nothing has happened.
func TestFailures(t *testing.T) {
	f := newFixture(t)
	fails := func(err error) func(context.Context) ([]byte, error) {
		return func(context.Context) ([]byte, error) { return nil, err }
	}
	f.expect(f.do(f.Service, name, "h", fails(errHarmless)), " false refused")
	f.expect(f.do(f.Service, name, "other", fails(errors.New("boom"))), " false boom")
	f.expect(f.do(f.Service, name, "h", says("x")), " false "+once.ErrOtherPayload.Error())
	f.expect(f.do(f.Service, name, "other", fails(errHarmless)), " false refused") // but something may have happened the first time
	f.expect(f.do(f.Service, name, "h", says("x")), " false "+once.ErrOtherPayload.Error())
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		f.do(f.Service, name, "other", func(context.Context) ([]byte, error) { panic("boom") })
	}()
	f.expect(f.do(f.Service, name, "other", says("at last")), "at last false <nil>")
	f.expect(f.do(f.Service, name, "other", says("again")), "at last true <nil>")
}

// A server that dies in the middle leaves its claim. When its lease is over the
// request is taken up again, and finds under the same ids what was made.
func TestDeadServer(t *testing.T) {
	f := newFixture(t)
	made := make(chan string, 1)
	dead, bury := context.WithCancel(context.Background())
	var dying sync.WaitGroup
	dying.Go(func() {
		f.another().Do(context.Background(), name, "h", func(ctx context.Context) ([]byte, error) {
			if once.Again(ctx) {
				t.Error("again the first time")
			}
			made <- once.ID(ctx, "run") + once.Key(ctx, "message")
			<-dead.Done() // it does not answer while the test runs
			return nil, dead.Err()
		})
	})
	defer dying.Wait()
	defer bury()
	first := <-made
	f.now.Add(59)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := f.Do(ctx, name, "h", says("too early")); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	f.now.Add(2)
	f.expect(f.do(f.Service, name, "h", func(ctx context.Context) ([]byte, error) {
		if found := once.ID(ctx, "run") + once.Key(ctx, "message"); found != first || !once.Again(ctx) {
			t.Errorf("made %s, found %s", first, found)
		}
		return []byte("found"), nil
	}), "found false <nil>")
	if a, b := once.ID(t.Context(), "run"), once.ID(t.Context(), "run"); a == b || once.Key(t.Context(), "run") != "" || once.Again(t.Context()) {
		t.Error("ids outside of requests are not random")
	}
}

func TestValid(t *testing.T) {
	for id, want := range map[string]bool{
		"": false, "a": true, "wf-123 / ü ☕": true, strings.Repeat("ü", 128): true, strings.Repeat("a", 129): false,
		"a\n": false, "\x00": false, "\xff": false, "a\u202eb": false,
	} {
		if once.Valid(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
	}
}
