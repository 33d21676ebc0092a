// Package instances keeps which of the servers that share a database are
// there.
//
// Each says so again and again. What belongs to one that has been silent for
// too long may be taken over by others. One that could not say so in time
// notices that itself, before the others do, stops working on what it owned,
// and comes back under another name: an id that was gone never is there again.
//
// Whoever writes what has an owner makes sure in the same transaction that it
// still is the owner; this package only sees to it that the others need not
// wait longer than the expiry, and that little is done in vain.
package instances

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// ErrGone is returned by [Store.Renew] when the instance has been removed.
var ErrGone = errors.New("the instance is not there any more")

// A Store keeps the instances. Time is that of its own clock.
type Store interface {
	// Register adds an instance, which is there for ttl.
	Register(ctx context.Context, id string, ttl time.Duration) error
	// Renew makes an instance be there for ttl from now on.
	Renew(ctx context.Context, id string, ttl time.Duration) error
	Remove(ctx context.Context, id string) error
	RemoveAll(ctx context.Context) error
	// RemoveSilent removes those whose time is over and returns their ids.
	RemoveSilent(ctx context.Context) ([]string, error)
	// Alive returns those that are there, oldest first.
	Alive(ctx context.Context) ([]string, error)
	// NextExpiry returns how long it is until the time of one of them is over, if
	// there are any.
	NextExpiry(ctx context.Context) (left time.Duration, any bool, err error)
}

// Options configure a [Service].
type Options struct {
	Store Store
	// Name is what others reach this process by. Its ids are the name, a slash
	// and a number.
	Name string
	// Heartbeat is how often it says that it is there. Default 2 s.
	Heartbeat time.Duration
	// Expiry is how long it is believed. Default 10 s.
	Expiry time.Duration
	// Alone says that no other process uses the store: what is registered
	// there is left over, and there is nobody to say anything to.
	Alone  bool
	Logger *slog.Logger
}

// A Service is this process among the instances. Its methods may be called
// concurrently.
type Service struct {
	opts  Options
	lost  []func()
	sweep []func(ctx context.Context) error
	gone  []func(ids []string)

	now chan struct{} // asks for a sweep

	mu    sync.Mutex
	id    string    // "" while it is not there
	until time.Time // by this machine's clock, when it must have been renewed
	tries int       // to register
	stats Stats
}

// Stats are numbers since the start.
type Stats struct {
	ID       string    // "" while this instance is not there
	Since    time.Time // when ID began
	Renewals int64
	Failures int64 // renewals that failed
	Lost     int64 // how often it was not there in time
	Removed  int64 // others that were gone, removed by this one
}

// New returns a Service. Nothing happens before [Service.Register].
func New(opts Options) *Service {
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 2 * time.Second
	}
	if opts.Expiry <= 0 {
		opts.Expiry = 10 * time.Second
	}
	if opts.Alone {
		opts.Expiry = always
	}
	return &Service{opts: opts, now: make(chan struct{}, 1)}
}

// always is how long an instance is there that is alone.
const always = 100 * 365 * 24 * time.Hour

// OnLost calls fn when what this instance owned may be taken over by others. fn
// stops the work on it, without waiting for anything. It must be called before
// Run.
func (s *Service) OnLost(fn func()) { s.lost = append(s.lost, fn) }

// OnSweep calls fn at the start, with every heartbeat and when the time of another
// is over, to take over what belongs to nobody. It must be called before Run.
func (s *Service) OnSweep(fn func(ctx context.Context) error) { s.sweep = append(s.sweep, fn) }

// OnGone calls fn with the ids of instances that have fallen silent, in the one
// instance that has removed them. What those stored last they may not have had
// the time to publish. fn must not block, and be set before Run.
func (s *Service) OnGone(fn func(ids []string)) { s.gone = append(s.gone, fn) }

// Sweep asks for what OnSweep has set to be done now, as when another instance
// has said that it stops. It does not wait.
func (s *Service) Sweep() {
	select {
	case s.now <- struct{}{}:
	default: // it has been asked for already
	}
}

// ID returns the id under which this process owns things now, "" if it must
// not own any.
func (s *Service) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !time.Now().Before(s.until) {
		return ""
	}
	return s.id
}

// Alive returns the ids of the instances that are there.
func (s *Service) Alive(ctx context.Context) ([]string, error) { return s.opts.Store.Alive(ctx) }

// Stats returns the numbers of now.
func (s *Service) Stats() Stats {
	id := s.ID()
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.ID = id
	return st
}

// Register makes this process an instance. It must be called before Run, and
// before anything is owned.
func (s *Service) Register(ctx context.Context) error {
	if s.opts.Alone {
		if err := s.opts.Store.RemoveAll(ctx); err != nil {
			return fmt.Errorf("removing instances that are left over: %w", err)
		}
	}
	if err := s.register(ctx); err != nil {
		return fmt.Errorf("registering this instance: %w", err)
	}
	return nil
}

func (s *Service) register(ctx context.Context) error {
	s.mu.Lock()
	s.tries++
	id := fmt.Sprintf("%s/%d", s.opts.Name, s.tries)
	s.mu.Unlock()
	sent := time.Now()
	if err := s.opts.Store.Register(ctx, id, s.opts.Expiry); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.until, s.stats.Since = id, s.deadline(sent), sent
	return nil
}

// deadline is when a renewal that was sent at a time must have been followed
// by another: before the store lets others take over, so that there is time to
// stop.
func (s *Service) deadline(sent time.Time) time.Time {
	return sent.Add(s.opts.Expiry - s.opts.Heartbeat)
}

// Deregister takes this process out of the instances; what it owned may be
// taken over at once. It is for the end, after everything that owns something
// has stopped.
func (s *Service) Deregister(ctx context.Context) error {
	s.mu.Lock()
	id := s.id
	s.id = ""
	s.mu.Unlock()
	if id == "" {
		return nil
	}
	return s.opts.Store.Remove(ctx, id)
}
