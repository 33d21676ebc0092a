package instances

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// memory is a store that may be away.
type memory struct {
	mu      sync.Mutex
	expires map[string]time.Time
	away    bool
}

func newMemory() *memory { return &memory{expires: map[string]time.Time{}} }

var errAway = errors.New("the store is away")

func (m *memory) do(fn func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return errAway
	}
	return fn()
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *memory) Register(_ context.Context, id string, ttl time.Duration) error {
	return m.do(func() error {
		if _, there := m.expires[id]; there {
			return errors.New("registered twice: " + id)
		}
		m.expires[id] = time.Now().Add(ttl)
		return nil
	})
}

func (m *memory) Renew(_ context.Context, id string, ttl time.Duration) error {
	return m.do(func() error {
		if _, there := m.expires[id]; !there {
			return ErrGone
		}
		m.expires[id] = time.Now().Add(ttl)
		return nil
	})
}

func (m *memory) Remove(_ context.Context, id string) error {
	return m.do(func() error { delete(m.expires, id); return nil })
}

func (m *memory) RemoveAll(context.Context) error {
	return m.do(func() error { clear(m.expires); return nil })
}

func (m *memory) RemoveSilent(context.Context) (gone []string, err error) {
	return gone, m.do(func() error {
		for id, at := range m.expires {
			if !time.Now().Before(at) {
				gone = append(gone, id)
				delete(m.expires, id)
			}
		}
		return nil
	})
}

func (m *memory) Alive(context.Context) (ids []string, err error) {
	return ids, m.do(func() error { ids = slices.Sorted(maps.Keys(m.expires)); return nil })
}

func (m *memory) NextExpiry(context.Context) (left time.Duration, any bool, err error) {
	return left, any, m.do(func() error {
		for _, at := range m.expires {
			if d := time.Until(at); d > 0 && (!any || d < left) {
				left, any = d, true
			}
		}
		return nil
	})
}

func start(t *testing.T, store Store, name string) (s *Service, stop func()) {
	t.Helper()
	s = New(Options{Store: store, Name: name, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Register(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, run(t, s)
}

func run(t *testing.T, s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// sleep waits for d, and for everything that happens meanwhile.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestComingAndGoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := New(Options{Store: m, Name: "a", Logger: slog.New(slog.DiscardHandler)})
		if a.ID() != "" {
			t.Error("it owns before it is registered")
		}
		if err := a.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := run(t, a)
		_, stopB := start(t, m, "b")
		time.Sleep(time.Hour)
		if ids, _ := a.Alive(t.Context()); !slices.Equal(ids, []string{"a/1", "b/1"}) || a.ID() != "a/1" || a.Stats().Renewals < 1700 {
			t.Errorf("after an hour %v, %+v", ids, a.Stats())
		}
		stopB()
		if ids, _ := a.Alive(t.Context()); !slices.Equal(ids, []string{"a/1"}) {
			t.Errorf("after b has stopped: %v", ids)
		}
		stop()
		if len(m.expires) != 0 || a.ID() != "" {
			t.Errorf("left %v, %q", m.expires, a.ID())
		}
	})
}

// Who is alone removes what is left over, and needs to say nothing.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.Register(t.Context(), "left over", time.Hour)
		a := New(Options{Store: m, Name: "a", Alone: true, Logger: slog.New(slog.DiscardHandler)})
		var swept atomic.Int32
		a.OnSweep(func(context.Context) error { swept.Add(1); return nil })
		if err := a.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := run(t, a)
		synctest.Wait()
		a.Sweep()
		synctest.Wait()
		if n := swept.Load(); n != 2 {
			t.Errorf("swept %d times", n)
		}
		m.setAway(true)
		sleep(time.Hour)
		m.setAway(false)
		if ids, _ := a.Alive(t.Context()); !slices.Equal(ids, []string{"a/1"}) || a.ID() != "a/1" || a.Stats().Lost != 0 {
			t.Errorf("after an hour %v, %+v", ids, a.Stats())
		}
		stop()
		if len(m.expires) != 0 {
			t.Errorf("left %v", m.expires)
		}
	})
}

// Who cannot renew stops before others take over, and comes back under another
// name.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := New(Options{Store: m, Name: "a", Logger: slog.New(slog.DiscardHandler)})
		var lostAt atomic.Pointer[time.Time]
		a.OnLost(func() {
			now := time.Now()
			lostAt.Store(&now)
			if a.ID() != "" {
				t.Error("it owns still")
			}
		})
		var swept atomic.Int32
		a.OnSweep(func(context.Context) error { swept.Add(1); return nil })
		if err := a.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer run(t, a)()
		sleep(time.Minute + time.Second)
		if n := swept.Load(); n != 31 {
			t.Errorf("swept %d times in a minute", n)
		}
		m.setAway(true)
		m.mu.Lock()
		expires := m.expires["a/1"]
		m.mu.Unlock()
		sleep(5 * time.Second)
		if a.ID() != "a/1" || lostAt.Load() != nil {
			t.Error("it gave up too early")
		}
		sleep(10 * time.Second)
		if lostAt.Load() == nil || !lostAt.Load().Before(expires.Add(-time.Second)) {
			t.Errorf("noticed at %v, others may take over at %v", lostAt.Load(), expires)
		}
		m.setAway(false)
		sleep(5 * time.Second)
		if id := a.ID(); id == "" || id == "a/1" || a.Stats().Lost != 1 {
			t.Errorf("afterwards it is %q, %+v", id, a.Stats())
		}
		if ids, _ := a.Alive(t.Context()); len(ids) != 1 || ids[0] != a.ID() {
			t.Errorf("there are %v", ids)
		}
	})
}

// Who was removed by others, because it slept, notices with the next renewal.
func TestRemovedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := New(Options{Store: m, Name: "a", Logger: slog.New(slog.DiscardHandler)})
		lost := make(chan struct{}, 1)
		a.OnLost(func() { lost <- struct{}{} })
		if err := a.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer run(t, a)()
		m.Remove(t.Context(), "a/1")
		<-lost
		time.Sleep(time.Second)
		if a.ID() != "a/2" {
			t.Errorf("afterwards it is %q", a.ID())
		}
	})
}

// Who has died is removed by another, which then takes over.
func TestDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.Register(t.Context(), "dead/1", 10*time.Second)
		b := New(Options{Store: m, Name: "b", Logger: slog.New(slog.DiscardHandler)})
		gone := make(chan []string, 10)
		b.OnGone(func(ids []string) { gone <- ids })
		if err := b.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer run(t, b)()
		time.Sleep(9 * time.Second)
		if ids, _ := b.Alive(t.Context()); len(ids) != 2 {
			t.Errorf("too early: %v", ids)
		}
		time.Sleep(4 * time.Second)
		if ids, _ := b.Alive(t.Context()); len(ids) != 1 || b.Stats().Removed != 1 {
			t.Errorf("too late: %v", ids)
		}
		if ids := <-gone; len(gone) != 0 || !slices.Equal(ids, []string{"dead/1"}) {
			t.Errorf("gone are %v", ids)
		}
	})
}

// What belongs to an instance that has fallen silent is taken over when its time
// is over, and not with the heartbeat after that.
func TestTakenOverWhenTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		a := New(Options{Store: m, Name: "a", Heartbeat: 2 * time.Second, Expiry: 10 * time.Second, Logger: slog.New(slog.DiscardHandler)})
		if err := a.Register(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer run(t, a)()
		time.Sleep(700 * time.Millisecond)
		m.Register(t.Context(), "b/1", 10*time.Second) // and is killed
		sleep(9999 * time.Millisecond)
		if n := a.Stats().Removed; n != 0 {
			t.Fatal("it was removed too early")
		}
		sleep(2 * time.Millisecond)
		if n := a.Stats().Removed; n != 1 {
			t.Error("it is still there when its time is over")
		}
	})
}
