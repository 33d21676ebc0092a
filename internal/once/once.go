// Package once makes what clients ask for happen once, however often they ask.
//
// A client gives its request an id. The first time it is claimed, done, and its
// reply kept; a repeat, on any server, gets that reply. One that comes while
// the first is being handled waits for it.
//
// A server that dies in the middle leaves its claim behind. When the lease of
// that is over the next repeat takes the request up again. It may find that
// something has happened already: what a request makes has an id that is
// derived from the claim ([ID], [Key]), so that it is found, not made again.
package once

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/roomcast/roomcast/internal/every"
)

// ErrOtherPayload is returned for an id that was used with another payload.
var ErrOtherPayload = errors.New("the id was used for something else")

// A Name is what a request is known by.
type Name struct {
	User  string // each has ids of their own
	Event string // what kind of request it is
	ID    string // given by the client
}

// Valid reports whether a client may use an id: 1 to 128 printable characters.
func Valid(id string) bool {
	if id == "" || len(id) > 4*128 || !utf8.ValidString(id) || utf8.RuneCountInString(id) > 128 {
		return false
	}
	for _, r := range id {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// A Claim is what a store has of a request.
type Claim struct {
	// Mine tells that the caller has to do it. If not it was Done, with Reply,
	// or somebody is at it.
	Mine, Done bool
	// Again tells that somebody has been at it before.
	Again bool
	Hash  string
	Seed  string
	Reply []byte
}

// A Store keeps claims. Its methods may be called concurrently, also by
// several servers; each is atomic.
type Store interface {
	// Claim makes a request the caller's, until a time, if nobody is at it: if
	// it is unknown, in which case its hash and seed are kept, or if the time
	// of whoever was at it is over. Claims of before forgotten are unknown.
	Claim(ctx context.Context, n Name, hash, seed string, now, until, forgotten time.Time) (Claim, error)
	// Finish keeps the reply of a request.
	Finish(ctx context.Context, n Name, seed string, reply []byte) error
	// GiveUp lets others take a request up again; Forget makes it unknown.
	GiveUp(ctx context.Context, n Name, seed string) error
	Forget(ctx context.Context, n Name, seed string) error
	// TrimClaims removes those of before a time, at most limit, and returns how
	// many there were.
	TrimClaims(ctx context.Context, before time.Time, limit int) (int, error)
}

// Options configure a [Service].
type Options struct {
	Store  Store
	Logger *slog.Logger
	// Keep is how long a reply is kept. Default 24 h.
	Keep time.Duration
	// Lease is after what time whoever is at a request is taken for dead. It is
	// longer than any request takes. Default 30 s.
	Lease time.Duration
	// Harmless reports whether an error tells that nothing has happened, so
	// that the id is as good as unused; nil takes none for such.
	Harmless func(err error) bool
	// Now is the clock, for tests.
	Now func() time.Time
}

// A Service makes things happen once. Its methods may be called concurrently.
type Service struct{ opts Options }

// New returns a Service.
func New(opts Options) *Service {
	if opts.Keep <= 0 {
		opts.Keep = 24 * time.Hour
	}
	if opts.Lease <= 0 {
		opts.Lease = 30 * time.Second
	}
	if opts.Harmless == nil {
		opts.Harmless = func(error) bool { return false }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts}
}

// Do calls fn, unless that has been done for a request of this name: then it
// returns the reply of that time, and true. hash tells payloads apart; another
// one under the same name is refused with [ErrOtherPayload]. An error of fn is
// returned as it is, and not kept.
func (s *Service) Do(ctx context.Context, n Name, hash string, fn func(ctx context.Context) ([]byte, error)) (reply []byte, repeated bool, err error) {
	claim, err := s.claim(ctx, n, hash)
	switch {
	case err != nil:
		return nil, false, err
	case claim.Done:
		return claim.Reply, true, nil
	}
	reply, err = s.run(context.WithValue(ctx, claimKey{}, claim), n, claim, fn)
	return reply, false, err
}

// How often it is asked whether somebody is done.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// claim returns when the request is the caller's to do, or is done.
func (s *Service) claim(ctx context.Context, n Name, hash string) (Claim, error) {
	seed := uuid.NewString()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		now := s.opts.Now()
		claim, err := s.opts.Store.Claim(ctx, n, hash, seed, now, now.Add(s.opts.Lease), now.Add(-s.opts.Keep))
		switch {
		case err != nil:
			return Claim{}, fmt.Errorf("claiming request: %w", err)
		case claim.Hash != hash:
			return Claim{}, ErrOtherPayload
		case claim.Mine, claim.Done:
			return claim, nil
		}
		select {
		case <-ctx.Done():
			return Claim{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// settling is how long it may take to write down how a request ended.
const settling = 5 * time.Second

// run does a claimed request and writes down how it ended.
func (s *Service) run(ctx context.Context, n Name, claim Claim, fn func(ctx context.Context) ([]byte, error)) (reply []byte, err error) {
	settle := func(how func(ctx context.Context) error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settling)
		defer cancel()
		if err := how(ctx); err != nil { // its lease will end
			s.opts.Logger.Error("how a request ended was not stored", "event", n.Event, "error", err)
		}
	}
	returned := false
	defer func() {
		if !returned { // it panicked
			settle(func(ctx context.Context) error { return s.opts.Store.GiveUp(ctx, n, claim.Seed) })
		}
	}()
	reply, err = fn(ctx)
	returned = true
	settle(func(ctx context.Context) error {
		switch {
		case err == nil:
			return s.opts.Store.Finish(ctx, n, claim.Seed, reply)
		case s.opts.Harmless(err) && !claim.Again:
			return s.opts.Store.Forget(ctx, n, claim.Seed)
		}
		return s.opts.Store.GiveUp(ctx, n, claim.Seed)
	})
	return reply, err
}

const (
	trimInterval = time.Minute
	trimBatch    = 1000
)

// Run forgets what has been kept long enough, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	every.Do(ctx, trimInterval, func(time.Time) {
		if err := s.Trim(ctx); err != nil && ctx.Err() == nil {
			s.opts.Logger.Error("old requests were not forgotten", "error", err)
		}
	})
	return ctx.Err()
}

// Trim forgets what has been kept long enough, in small transactions.
func (s *Service) Trim(ctx context.Context) error {
	for {
		n, err := s.opts.Store.TrimClaims(ctx, s.opts.Now().Add(-s.opts.Keep), trimBatch)
		if n < trimBatch || err != nil {
			return err
		}
	}
}
