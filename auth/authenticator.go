package auth

import (
	"context"
	"errors"
	"time"

	"github.com/roomcast/roomcast/events"
)

// Options configure an [Authenticator].
type Options struct {
	Issuers []Issuer
	APIKeys []APIKey
	// Leeway is how far clocks may be apart; 0 is not at all.
	Leeway time.Duration
	// Now is the clock, for tests.
	Now func() time.Time
}

// An Authenticator turns credentials into identities. Its methods may be
// called concurrently.
type Authenticator struct {
	issuers map[string]Issuer
	apiKeys apiKeys
	leeway  time.Duration
	now     func() time.Time
}

// New returns an Authenticator, or an error that names what is wrong in opts.
func New(opts Options) (*Authenticator, error) {
	a := &Authenticator{issuers: make(map[string]Issuer), leeway: opts.Leeway, now: opts.Now}
	if a.now == nil {
		a.now = time.Now
	}
	for _, i := range opts.Issuers {
		if err := i.check(); err != nil {
			return nil, err
		}
		if _, twice := a.issuers[i.Name]; twice {
			return nil, errors.New("two issuers are called " + i.Name)
		}
		a.issuers[i.Name] = i
	}
	var err error
	a.apiKeys, err = newAPIKeys(opts.APIKeys)
	return a, err
}

// Authenticate verifies a credential. The error is an *events.Error.
func (a *Authenticator) Authenticate(_ context.Context, c Credential) (*Identity, error) {
	switch c.kind {
	case token:
		return a.verify(c.value)
	case apiKey:
		return a.apiKeys.find(c.value)
	}
	return nil, errNoCredential()
}

var errInvalidAPIKey = events.Errorf(events.CodeInvalidAPIKey, "Invalid or Inactive API key")
