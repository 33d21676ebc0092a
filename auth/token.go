package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/roomcast/roomcast/events"
)

// An Issuer signs tokens with a shared secret (HS256).
type Issuer struct {
	Name     string // the tokens' iss
	Audience string // the tokens' aud
	Secret   []byte // at least 32 bytes
}

// minSecret is the size of the hash, below which a secret is weaker than it
// (RFC 7518, section 3.2).
const minSecret = 32

// maxToken bounds what is parsed of a token, in bytes.
const maxToken = 8 << 10

func (i Issuer) check() error {
	switch {
	case i.Name == "":
		return errors.New("an issuer needs a name")
	case i.Audience == "":
		return fmt.Errorf("issuer %s needs an audience", i.Name)
	case len(i.Secret) < minSecret:
		return fmt.Errorf("the secret of issuer %s has %d bytes, at least %d are needed", i.Name, len(i.Secret), minSecret)
	}
	return nil
}

// claims are those of our tokens. firebaseID and the like are never read from
// payloads: the subject is the user.
type claims struct {
	jwt.RegisteredClaims
	Tenants     []Membership `json:"tenants,omitempty"`
	Permissions []Permission `json:"permissions,omitempty"`
}

// Sign makes a token for an identity, valid for ttl from now.
func (i Issuer) Sign(id Identity, now time.Time, ttl time.Duration) (string, error) {
	if err := i.check(); err != nil {
		return "", err
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    i.Name,
			Audience:  jwt.ClaimStrings{i.Audience},
			Subject:   id.User,
			ID:        uuid.NewString(),
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
		Tenants:     id.Tenants,
		Permissions: id.Permissions,
	}).SignedString(i.Secret)
}

// verify checks a token and returns whose it is.
func (a *Authenticator) verify(raw string) (*Identity, error) {
	invalid := func(why string) error {
		return events.Errorf(events.CodeTokenInvalid, "User auth token is not valid: %s", why)
	}
	if len(raw) > maxToken {
		return nil, invalid("it is too long")
	}
	var c claims
	_, err := jwt.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		issuer, ok := a.issuers[c.Issuer]
		if !ok {
			return nil, jwt.ErrTokenInvalidIssuer
		}
		if !hasAudience(c.Audience, issuer.Audience) {
			return nil, jwt.ErrTokenInvalidAudience
		}
		return issuer.Secret, nil
	},
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(a.leeway),
		jwt.WithTimeFunc(a.now),
	)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, events.Errorf(events.CodeTokenExpired, "User auth token has expired: get a new one")
	case err != nil:
		return nil, invalid(reason(err))
	case c.Subject == "" || len(c.Subject) > 128:
		return nil, invalid("its subject is empty or too long")
	}
	for _, m := range c.Tenants {
		if m.ID == "" || rights[m.Role] == nil {
			return nil, invalid("it names a tenant without an id or with a role that is not ADMIN or MEMBER")
		}
	}
	return &Identity{
		User:        c.Subject,
		Tenants:     c.Tenants,
		Permissions: c.Permissions,
		Method:      "token",
		Credential:  c.ID,
		Expires:     c.ExpiresAt.Time,
	}, nil
}

func hasAudience(got jwt.ClaimStrings, want string) bool {
	for _, aud := range got {
		if aud == want {
			return true
		}
	}
	return false
}

// reason says what is wrong with a token in words that give nothing away.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenInvalidIssuer, "its issuer is unknown"},
		{jwt.ErrTokenInvalidAudience, "it is for another audience"},
		{jwt.ErrTokenRequiredClaimMissing, "it has no expiry"},
		{jwt.ErrTokenUsedBeforeIssued, "it was issued in the future"},
		{jwt.ErrTokenNotValidYet, "it is not valid yet"},
		{jwt.ErrTokenSignatureInvalid, "its signature is wrong"},
		{jwt.ErrTokenUnverifiable, "its algorithm is not accepted"},
	} {
		if errors.Is(err, r.err) {
			return r.text
		}
	}
	return "it is malformed"
}
