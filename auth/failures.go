package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
)

// FailureOptions say when repeated failures are told to wait.
type FailureOptions struct {
	// Limit is how many failures of an address, and of a credential, are
	// answered with their reason. Default 20.
	Limit int
	// Window is how long a failure counts. Default 1 min.
	Window time.Duration
	// MaxWait is the longest that anybody is told to wait. Default 1 min.
	MaxWait time.Duration
}

// maxFailing bounds how many addresses and credentials are remembered. Beyond
// it the one whose last failure is longest ago is forgotten, of a few.
const maxFailing = 10_000

// Failures count what failed, by whatever names it: an address, a credential.
// Who fails too often is told to wait, twice as long each time that they do not.
// Whether they have to is up to who counts. Its methods may be called
// concurrently.
type Failures struct {
	opts FailureOptions
	now  func() time.Time

	mu      sync.Mutex
	failing map[string]*failing
}

type failing struct {
	n    int
	last time.Time
}

// NewFailures returns an empty count by a clock.
func NewFailures(opts FailureOptions, now func() time.Time) *Failures {
	if opts.Limit <= 0 {
		opts.Limit = 20
	}
	if opts.Window <= 0 {
		opts.Window = time.Minute
	}
	if opts.MaxWait <= 0 {
		opts.MaxWait = time.Minute
	}
	return &Failures{opts: opts, now: now, failing: make(map[string]*failing)}
}

// count notes a refusal and returns what the client gets to see of it: who
// fails too often gets no reasons any more. Nothing else is held back: a good
// credential, from whatever address, gets in.
func (a *Authenticator) count(c Credential, err error) error {
	e, meant := events.Public(err)
	if !meant {
		return err
	}
	var wait time.Duration
	switch e.Code {
	case events.CodeTokenNotFound, events.CodeAuthUnavailable:
		return err // nothing was tried, or it may have been right
	case events.CodeTokenExpired, events.CodeCredentialRevoked, events.CodeTokenNotYet:
		// It was right once, or will be: nobody is guessing here.
		wait = a.failures.Fail(c.fingerprint())
	default:
		wait = a.failures.Fail(c.fingerprint())
		if c.address != "" {
			wait = max(wait, a.failures.Fail("address "+Network(c.address)))
		}
	}
	if wait == 0 {
		return err
	}
	return TooManyFailures(wait, "wait, then send another credential; the last failed with "+string(e.Code))
}

// TooManyFailures is the refusal of who is told to wait.
func TooManyFailures(wait time.Duration, what string) *events.Error {
	return &events.Error{
		Code: events.CodeTooManyFailures, Message: "too many failed attempts: " + what, RetryAfter: int(math.Ceil(wait.Seconds())),
	}
}

// Network is what an address stands for: with IPv6 everybody has a network of
// them, to take another one for every attempt.
func Network(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		return addr.String()
	}
	return netip.PrefixFrom(addr, 64).Masked().String()
}

// Fail notes a failure and returns how long to wait.
func (f *Failures) Fail(key string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	one := f.failing[key]
	if one == nil {
		f.makeRoom(now)
		one = &failing{}
		f.failing[key] = one
	}
	if now.Sub(one.last) > f.opts.Window {
		one.n = 0
	}
	one.n, one.last = one.n+1, now
	return f.penalty(one)
}

// Wait returns how long is left of what the last failure was told to wait.
func (f *Failures) Wait(key string) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.failing[key]
	if one == nil {
		return 0
	}
	return max(0, f.penalty(one)-f.now().Sub(one.last))
}

// Forget takes back all failures of a key.
func (f *Failures) Forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.failing, key)
}

// penalty is how long to wait after the last failure.
func (f *Failures) penalty(one *failing) time.Duration {
	over := one.n - f.opts.Limit
	if over <= 0 {
		return 0
	}
	return min(f.opts.MaxWait, time.Second<<min(over-1, 30))
}

// makeRoom forgets somebody if there are too many.
func (f *Failures) makeRoom(now time.Time) {
	if len(f.failing) < maxFailing {
		return
	}
	oldest, looked := "", 0
	for key, one := range f.failing { // in random order
		if now.Sub(one.last) > f.opts.Window {
			delete(f.failing, key)
			return
		}
		if oldest == "" || one.last.Before(f.failing[oldest].last) {
			oldest = key
		}
		if looked++; looked == 16 {
			break
		}
	}
	delete(f.failing, oldest)
}

// fingerprint identifies a credential without keeping it.
func (c Credential) fingerprint() string {
	sum := sha256.Sum256([]byte(c.value))
	return "credential " + hex.EncodeToString(sum[:16])
}
