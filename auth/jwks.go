package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/roomcast/roomcast/events"
)

// JWKSOptions say how key sets are fetched.
type JWKSOptions struct {
	// Refresh is how often a set is fetched. Default 15 min.
	Refresh time.Duration
	// MinRefresh is the least time between two fetches that tokens with
	// unknown key ids bring about. Default 10 s.
	MinRefresh time.Duration
	// Timeout bounds one fetch. Default 5 s.
	Timeout time.Duration
}

func (o JWKSOptions) withDefaults() JWKSOptions {
	if o.Refresh <= 0 {
		o.Refresh = 15 * time.Minute
	}
	if o.MinRefresh <= 0 {
		o.MinRefresh = 10 * time.Second
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	return o
}

// maxKeySet bounds what is read of a key set, in bytes.
const maxKeySet = 1 << 20

// jwks is a key set at an address. A set that has been fetched is used until
// there is another, however old it is: an issuer that is down does not lock
// its users out. A token with an unknown key id fetches the set at once, but
// not more often than MinRefresh, and those who wait share one fetch.
type jwks struct {
	issuer, url string
	opts        JWKSOptions
	client      *http.Client
	log         *slog.Logger
	now         func() time.Time

	mu     sync.Mutex
	set    []key
	failed bool          // the last fetch brought nothing
	tried  time.Time     // when it began
	flight chan struct{} // closed when the fetch under way is over; nil if none is
}

// keys returns the keys of an id, or all of them for a token without one.
func (j *jwks) keys(ctx context.Context, kid string) ([]key, error) {
	found, ok := j.find(kid)
	if ok {
		return found, nil
	}
	if err := j.await(ctx); err != nil {
		return nil, err
	}
	if found, ok = j.find(kid); ok {
		return found, nil
	}
	if j.isFailed() {
		return nil, errUnavailable // it may be a new key
	}
	return nil, errKeyUnknown
}

func (j *jwks) find(kid string) (found []key, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if kid == "" {
		return j.set, len(j.set) > 0
	}
	for _, k := range j.set {
		if k.id == kid {
			found = append(found, k)
		}
	}
	return found, len(found) > 0
}

func (j *jwks) isFailed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed
}

// await fetches the set unless that was tried a moment ago. Whoever comes
// while it is being fetched waits for the same answer.
func (j *jwks) await(ctx context.Context) error {
	flight, mine := j.board()
	if mine {
		// For everybody who waits: that one gives up does not end it.
		j.land(context.WithoutCancel(ctx), flight)
	}
	if flight == nil {
		return nil
	}
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return errUnavailable
	}
}

// board returns the fetch under way, and whether the caller is to do it; nil
// if it is too early for one.
func (j *jwks) board() (flight chan struct{}, mine bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.flight != nil {
		return j.flight, false
	}
	if !j.tried.IsZero() && j.now().Sub(j.tried) < j.opts.MinRefresh {
		return nil, false
	}
	j.tried, j.flight = j.now(), make(chan struct{})
	return j.flight, true
}

// land does a fetch. What goes wrong is logged and leaves the set as it is.
func (j *jwks) land(ctx context.Context, flight chan struct{}) {
	set, err := j.fetch(ctx)
	j.mu.Lock()
	j.failed = err != nil
	if err == nil {
		j.set = set
	}
	kept := len(j.set)
	j.flight = nil
	close(flight)
	j.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		j.log.Warn("key set was not fetched", "issuer", j.issuer, "code", events.CodeAuthUnavailable, "reason", err.Error(), "kept", kept)
	}
}

func (j *jwks) fetch(ctx context.Context) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, j.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answered %s", res.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxKeySet+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxKeySet {
		return nil, fmt.Errorf("the key set is larger than %d bytes", maxKeySet)
	}
	return parseKeySet(raw)
}

// run keeps the set fresh until ctx ends.
func (j *jwks) run(ctx context.Context) {
	tick := time.NewTicker(j.opts.Refresh)
	defer tick.Stop()
	for {
		if flight, mine := j.board(); mine {
			j.land(ctx, flight)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// secureRedirects refuses to be sent from https to anything else.
func secureRedirects(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return fmt.Errorf("more than 5 redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("sent from https to %s", req.URL.Scheme)
	}
	return checkKeysURL(req.URL.Host, req.URL.String())
}
