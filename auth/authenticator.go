package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/events"
)

// Options configure an [Authenticator].
type Options struct {
	Issuers []Issuer
	// APIKeys are known besides those in Keys.
	APIKeys []APIKey
	// Keys, if set, is where API keys are looked up that APIKeys lacks.
	Keys KeyStore
	// Revoked, if set, reports whether a credential was shut out.
	Revoked func(id *Identity) bool
	// Leeway is how far clocks may be apart; 0 is not at all.
	Leeway   time.Duration
	JWKS     JWKSOptions
	Failures FailureOptions
	// Logger gets what goes wrong with key sets. Default: nothing is logged.
	Logger *slog.Logger
	// Now is the clock, for tests.
	Now func() time.Time
}

// An Authenticator turns credentials into identities. Its methods may be
// called concurrently.
type Authenticator struct {
	issuers  map[string]*issuer
	remote   []*jwks
	apiKeys  apiKeys
	store    KeyStore
	revoked  func(id *Identity) bool
	failures *Failures
	parser   *jwt.Parser
	leeway   time.Duration
	now      func() time.Time

	verified, refused atomic.Int64
}

// New returns an Authenticator, or an error that names what is wrong in opts.
func New(opts Options) (*Authenticator, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Authenticator{
		issuers: make(map[string]*issuer), store: opts.Keys, revoked: opts.Revoked,
		failures: NewFailures(opts.Failures, opts.Now), leeway: opts.Leeway, now: opts.Now,
		parser: jwt.NewParser(
			jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
			jwt.WithLeeway(opts.Leeway), jwt.WithTimeFunc(opts.Now)),
	}
	for _, i := range opts.Issuers {
		if err := a.add(i, opts); err != nil {
			return nil, err
		}
	}
	var err error
	a.apiKeys, err = newAPIKeys(opts.APIKeys)
	return a, err
}

func (a *Authenticator) add(i Issuer, opts Options) error {
	if err := i.Check(); err != nil {
		return err
	}
	i = i.complete()
	if _, twice := a.issuers[i.Name]; twice {
		return errors.New("two issuers are called " + i.Name)
	}
	used := &issuer{Issuer: i}
	switch {
	case i.JWKS != "":
		remote := &jwks{
			issuer: i.Name, url: i.JWKS, opts: opts.JWKS.withDefaults(), log: opts.Logger, now: opts.Now,
			client: &http.Client{CheckRedirect: secureRedirects},
		}
		a.remote = append(a.remote, remote)
		used.source = remote
	case len(i.PublicKeys) > 0:
		used.source, _ = publicKeys(i.Name, i.PublicKeys) // checked
	default:
		used.source = secrets(i.Secret, i.NextSecret)
	}
	a.issuers[i.Name] = used
	return nil
}

// Run keeps the key sets of issuers fresh until ctx ends. Without it they are
// fetched when a token needs them.
func (a *Authenticator) Run(ctx context.Context) {
	var running sync.WaitGroup
	for _, j := range a.remote {
		running.Go(func() { j.run(ctx) })
	}
	running.Wait()
}

// Authenticate verifies a credential. The error is an *events.Error, unless
// the server is at fault. A good credential is let in however many bad ones
// came before it.
func (a *Authenticator) Authenticate(ctx context.Context, c Credential) (*Identity, error) {
	id, err := a.check(ctx, c)
	if err == nil {
		a.verified.Add(1)
		return id, nil
	}
	a.refused.Add(1)
	return nil, a.count(c, err)
}

// Inspect verifies a credential without the effects of doing so.
func (a *Authenticator) Inspect(ctx context.Context, c Credential) (*Identity, error) {
	return a.check(ctx, c)
}

func (a *Authenticator) check(ctx context.Context, c Credential) (id *Identity, err error) {
	switch c.kind {
	case token:
		id, err = a.verify(ctx, c.value)
	case apiKey:
		id, err = a.findKey(ctx, c.value)
	default:
		return nil, errNoCredential()
	}
	if err == nil && a.revoked != nil && a.revoked(id) {
		return nil, errRevoked
	}
	return id, err
}

// Counts returns how many credentials were let in and refused. A session costs
// one when it enters a namespace, and one for each renewal.
func (a *Authenticator) Counts() (verified, refused int64) {
	return a.verified.Load(), a.refused.Load()
}

// HasKey reports whether a credential could be good without asking the store.
func (a *Authenticator) HasKey() bool { return len(a.issuers) > 0 || len(a.apiKeys) > 0 }

// Revoked is the error of a session whose credential was shut out.
func Revoked() *events.Error { return errRevoked }

// Expired is the error of a session whose token has ended.
func Expired() *events.Error { return errExpired }
