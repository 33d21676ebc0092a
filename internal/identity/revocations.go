package identity

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// A RevocationKind is what is shut out.
type RevocationKind string

// The kinds.
const (
	RevokeToken RevocationKind = "token" // the token of a jti
	RevokeUser  RevocationKind = "user"  // every credential of a user up to now
	RevokeKey   RevocationKind = "key"   // the API key of an id
)

// A Revocation shuts credentials out before they end by themselves.
type Revocation struct {
	Seq    int64          `json:"-"` // in the order of the store
	Kind   RevocationKind `json:"kind"`
	ID     string         `json:"id"`
	At     time.Time      `json:"at"`
	By     string         `json:"by"`
	Reason string         `json:"reason"`
}

// matches reports whether a credential is shut out. What was issued in the
// same second as the revocation of its user is: tokens count in seconds.
func (r Revocation) matches(id *auth.Identity) bool {
	switch r.Kind {
	case RevokeToken:
		return id.Method == auth.MethodToken && id.Credential == r.ID && r.ID != ""
	case RevokeKey:
		return id.Method == auth.MethodAPIKey && id.Credential == r.ID
	case RevokeUser:
		return id.User == r.ID && !id.Issued.After(r.At)
	}
	return false
}

// A RevocationStore is the list of all revocations, which servers that share
// it read to its end again and again. It only grows. Its methods may be called
// concurrently.
type RevocationStore interface {
	// AddRevocation adds a revocation at the end and numbers it.
	AddRevocation(ctx context.Context, r Revocation) error
	// Revocations returns those with numbers beyond after, in their order.
	Revocations(ctx context.Context, after int64) ([]Revocation, error)
}

// Revocations are all that have been made. Its methods may be called
// concurrently.
type Revocations struct {
	store RevocationStore
	log   *slog.Logger

	wake     chan struct{}
	announce func()

	pulling sync.Mutex // held while the store is read, so that its order is kept

	mu     sync.RWMutex
	seq    int64
	byKind map[RevocationKind]map[string]Revocation
	notify func(Revocation)
}

// NewRevocations returns what is in a store, once it is pulled.
func NewRevocations(store RevocationStore, log *slog.Logger) *Revocations {
	return &Revocations{store: store, log: log, wake: make(chan struct{}, 1), announce: func() {}, byKind: make(map[RevocationKind]map[string]Revocation)}
}

// Observe calls fn for every revocation from now on. It is set before Run.
func (r *Revocations) Observe(fn func(Revocation)) { r.notify = fn }

// Announce calls fn after every revocation that is made here, so that it can
// tell other servers to Wake. It is set before Run, and must not block.
func (r *Revocations) Announce(fn func()) { r.announce = fn }

// Wake has Run look at once what is new. It does not block.
func (r *Revocations) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Revoked reports whether a credential is shut out.
func (r *Revocations) Revoked(id *auth.Identity) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for kind, subject := range map[RevocationKind]string{RevokeUser: id.User, RevokeToken: id.Credential, RevokeKey: id.Credential} {
		if rev, ok := r.byKind[kind][subject]; ok && rev.matches(id) {
			return true
		}
	}
	return false
}

// Create is Revoke for users, who must operate the server: a user's tokens may
// be for any tenant.
func (r *Revocations) Create(ctx context.Context, id *auth.Identity, rev Revocation) (Revocation, error) {
	if !id.Operator() {
		return Revocation{}, errOperators
	}
	switch rev.Kind {
	case RevokeToken, RevokeUser, RevokeKey:
	default:
		return Revocation{}, events.FieldErrorf("kind", "%q is not one of token, user, key", rev.Kind)
	}
	if rev.ID == "" || len(rev.ID) > 256 {
		return Revocation{}, events.FieldErrorf("id", "has to be 1 to 256 bytes long: a jti, a user or the id of an API key")
	}
	if len(rev.Reason) > 500 {
		return Revocation{}, events.FieldErrorf("reason", "is longer than 500 bytes")
	}
	rev.By = id.User
	return r.Revoke(ctx, rev)
}

var errOperators = events.Errorf(events.CodePermissionDenied, "revocations take the permission %s", auth.Operate)

// Revoke shuts a credential out. It has taken effect here when it returns.
func (r *Revocations) Revoke(ctx context.Context, rev Revocation) (Revocation, error) {
	rev.At = time.Now().UTC().Truncate(time.Microsecond)
	if err := r.store.AddRevocation(ctx, rev); err != nil {
		return Revocation{}, fmt.Errorf("storing revocation: %w", err)
	}
	r.announce()
	return rev, r.Pull(ctx)
}

// List returns all revocations, oldest first.
func (r *Revocations) List(ctx context.Context, id *auth.Identity) ([]Revocation, error) {
	if !id.Operator() {
		return nil, errOperators
	}
	return r.store.Revocations(ctx, 0)
}

// Pull takes in what is new in the store.
func (r *Revocations) Pull(ctx context.Context) error {
	r.pulling.Lock()
	defer r.pulling.Unlock()
	fresh, err := r.store.Revocations(ctx, r.seq)
	if err != nil {
		return fmt.Errorf("reading revocations: %w", err)
	}
	for _, rev := range fresh {
		r.apply(rev)
		if r.notify != nil {
			r.notify(rev)
		}
	}
	return nil
}

func (r *Revocations) apply(rev Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byKind[rev.Kind] == nil {
		r.byKind[rev.Kind] = make(map[string]Revocation)
	}
	if old, ok := r.byKind[rev.Kind][rev.ID]; !ok || !old.At.After(rev.At) {
		r.byKind[rev.Kind][rev.ID] = rev // else by a clock that is behind
	}
	r.seq = rev.Seq
}

// Run takes in what other processes revoke until ctx ends: when it is woken, and
// every so often in case nobody could tell.
func (r *Revocations) Run(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.wake:
		}
		if err := r.Pull(ctx); err != nil && ctx.Err() == nil {
			r.log.Error("revocations are not up to date", "error", err)
		}
	}
}
