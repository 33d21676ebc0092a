package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/identity"
	"github.com/roomcast/roomcast/internal/socketio"
)

// The issuer of development, and the tenant that its tokens are for.
const (
	devIssuer   = "roomcast-dev"
	devAudience = "roomcast"
	DevTenant   = "default"
)

var _ identity.Session = (*socketio.Session)(nil)

// newIdentity builds what decides who is who.
func (a *App) newIdentity(ctx context.Context) error {
	c := a.opts.Config.Auth
	issuers := configIssuers(c)
	if a.opts.Dev {
		issuer, err := DevIssuer(a.opts.Config.Server.Data)
		if err != nil {
			return err
		}
		a.issuer = &issuer
		issuers = append(issuers, issuer)
	}
	store := a.db.Identity()
	a.revocations = identity.NewRevocations(store, a.log)
	a.keys = identity.NewKeys(store, a.revocations)
	var err error
	a.auth, err = newAuthenticator(c, auth.Options{Issuers: issuers, Keys: store, Revoked: a.revocations.Revoked, Logger: a.log})
	if err != nil {
		return err
	}
	if !a.auth.HasKey() {
		any, err := store.AnyKey(ctx)
		if err != nil {
			return err
		}
		if !any {
			return errNobody
		}
	}
	for _, w := range a.opts.Config.Warnings() {
		// The name of a setting and a colon before it would hide the next word
		// from readers of the log, as if it were the secret.
		setting, why, _ := strings.Cut(w, ": ")
		a.log.Warn("configuration", "setting", setting, "why", why)
	}
	a.sessions = identity.NewLive(identity.LiveOptions{
		Authenticate: a.auth.Authenticate, Revoked: a.revocations.Revoked, Warning: c.ExpiryWarning, Leeway: c.Leeway, Logger: a.log,
	})
	a.revocations.Observe(a.sessions.Revoke)
	return a.revocations.Pull(ctx)
}

var errNobody = errors.New("nobody could sign in: set auth.issuers or auth.apiKeys in a configuration file, make a key with `roomcast keys create`, or try things out with --dev")

// CheckAuth reports what is wrong with the issuers and keys of a
// configuration.
func CheckAuth(c config.Auth) error {
	_, err := newAuthenticator(c, auth.Options{Issuers: configIssuers(c)})
	return err
}

func newAuthenticator(c config.Auth, opts auth.Options) (*auth.Authenticator, error) {
	for _, k := range c.APIKeys {
		opts.APIKeys = append(opts.APIKeys, auth.APIKey{
			Name: k.Name, Prefix: k.Prefix, SHA256: k.SHA256, User: k.User, Tenant: k.Tenant, Role: auth.Role(k.Role), Disabled: k.Disabled,
		})
	}
	opts.Leeway = c.Leeway
	opts.JWKS = auth.JWKSOptions(c.JWKS)
	opts.Failures = auth.FailureOptions(c.Failures)
	authenticator, err := auth.New(opts)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return authenticator, nil
}

func configIssuers(c config.Auth) []auth.Issuer {
	var issuers []auth.Issuer
	for _, i := range c.Issuers {
		issuers = append(issuers, configIssuer(i))
	}
	return issuers
}

func configIssuer(c config.Issuer) auth.Issuer {
	i := auth.Issuer{
		Name: c.Name, Audience: c.Audience, JWKS: c.JWKS, Firebase: c.Firebase, Tenants: c.Tenants,
		Default: auth.Membership{ID: c.DefaultTenant, Role: auth.Role(c.DefaultRole)},
	}
	if c.Secret != "" {
		i.Secret = []byte(c.Secret)
	}
	if c.NextSecret != "" {
		i.NextSecret = []byte(c.NextSecret)
	}
	for _, k := range c.PublicKeys {
		i.PublicKeys = append(i.PublicKeys, []byte(k))
	}
	return i
}

// SigningIssuer returns the issuer that new tokens are signed by: the first of
// the configuration that has a secret, else that of development if there is
// one in the data folder.
func SigningIssuer(c config.Config) (auth.Issuer, error) {
	for _, i := range configIssuers(c.Auth) {
		if len(i.Secret) > 0 {
			return i, nil
		}
	}
	if _, err := os.Stat(secretPath(c.Server.Data)); err != nil {
		return auth.Issuer{}, errors.New("there is no secret to sign with: set the secret of one of auth.issuers, or run `roomcast serve --dev` once with the same --data")
	}
	return DevIssuer(c.Server.Data)
}

func secretPath(data string) string { return filepath.Join(data, "dev-secret") }

// DevIssuer returns the issuer of development. Its secret is made on first use
// and kept in the data folder, where only the owner can read it.
func DevIssuer(data string) (auth.Issuer, error) {
	issuer := auth.Issuer{Name: devIssuer, Audience: devAudience}
	raw, err := readOrMakeSecret(secretPath(data))
	if err != nil {
		return issuer, fmt.Errorf("the secret of development: %w", err)
	}
	issuer.Secret = []byte(strings.TrimSpace(string(raw)))
	return issuer, nil
}

// readOrMakeSecret returns what is in a file, which is made if there is none.
func readOrMakeSecret(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newSecret(path)
	}
	return raw, err
}

// newSecret makes a secret, unless another server that starts at the same
// time with the same folder is faster, and returns what is in the file.
func newSecret(path string) ([]byte, error) {
	var b [32]byte
	rand.Read(b[:])
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*") // only the owner can read it
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(hex.EncodeToString(b[:]))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// DevTokens are what a developer signs in with.
type DevTokens struct {
	Member string `json:"member"`
	Admin  string `json:"admin"`
}

// devTokenTTL is long enough for a day's work.
const devTokenTTL = 12 * time.Hour

// DevTokens makes tokens for the two users of development.
func (a *App) DevTokens() (DevTokens, error) {
	if a.issuer == nil {
		return DevTokens{}, errors.New("only development has tokens of its own")
	}
	member, err := a.issuer.Sign(auth.Identity{User: "member", Tenants: []auth.Membership{{ID: DevTenant, Role: auth.Member}}}, time.Now(), devTokenTTL)
	if err != nil {
		return DevTokens{}, err
	}
	admin, err := a.issuer.Sign(auth.Identity{
		User: "admin", Tenants: []auth.Membership{{ID: DevTenant, Role: auth.Admin}}, Permissions: []auth.Permission{auth.Operate},
	}, time.Now(), devTokenTTL)
	return DevTokens{member, admin}, err
}

// holds reports whether an identity is still good for what was asked in its
// name a while ago.
func (a *App) holds(id *auth.Identity) error {
	switch {
	case a.revocations.Revoked(id):
		return auth.Revoked()
	case !id.Expires.IsZero() && time.Now().After(id.Expires.Add(a.opts.Config.Auth.Leeway)):
		return auth.Expired()
	}
	return nil
}
