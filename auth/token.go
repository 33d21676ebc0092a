package auth

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// maxToken bounds what is parsed of a token, in bytes.
const maxToken = 8 << 10

// claims are those of our tokens. firebaseID and the like are never read from
// payloads: the subject is the user.
type claims struct {
	jwt.RegisteredClaims
	AuthTime    *jwt.NumericDate `json:"auth_time,omitempty"`
	Tenants     []Membership     `json:"tenants,omitempty"`
	Permissions []Permission     `json:"permissions,omitempty"`
}

// Sign makes a token for an identity, valid for ttl from now. It takes an
// issuer with a secret: the keys of others are not here.
func (i Issuer) Sign(id Identity, now time.Time, ttl time.Duration) (string, error) {
	if err := i.Check(); err != nil {
		return "", err
	}
	if i.Secret == nil {
		return "", errors.New("issuer " + i.complete().Name + " has no secret: its tokens are signed elsewhere")
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
func (a *Authenticator) verify(ctx context.Context, raw string) (*Identity, error) {
	if len(raw) > maxToken {
		return nil, errTooLarge
	}
	var c claims
	var from *issuer
	t, err := a.parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		if from = a.issuers[c.Issuer]; from == nil {
			return nil, errIssuer
		}
		if !slices.Contains(c.Audience, from.Audience) {
			return nil, errAudience
		}
		return from.verificationKeys(ctx, t)
	})
	if err != nil {
		return nil, reason(t, err)
	}
	if err := a.checkClaims(&c, from); err != nil {
		return nil, err
	}
	return c.identity(from), nil
}

// checkClaims checks what the parser does not know of.
func (a *Authenticator) checkClaims(c *claims, from *issuer) error {
	if c.Subject == "" || len(c.Subject) > 128 {
		return errSubject
	}
	if from.Firebase != "" {
		switch {
		case c.AuthTime == nil:
			return errNoAuthTime
		case c.AuthTime.After(a.now().Add(a.leeway)):
			return errNotYet
		}
	}
	for _, m := range c.Tenants {
		if m.ID == "" || !m.Role.Valid() {
			return errTenants
		}
		if len(from.Tenants) > 0 && !slices.Contains(from.Tenants, m.ID) {
			return errForeignTenant
		}
	}
	if len(from.Tenants) > 0 && len(c.Permissions) > 0 {
		return errForeignTenant
	}
	return nil
}

func (c *claims) identity(from *issuer) *Identity {
	id := &Identity{
		User:        c.Subject,
		Tenants:     c.Tenants,
		Permissions: c.Permissions,
		Method:      MethodToken,
		Issuer:      from.Name,
		Credential:  c.ID,
		Expires:     c.ExpiresAt.Time,
	}
	if c.IssuedAt != nil {
		id.Issued = c.IssuedAt.Time
	}
	if len(id.Tenants) == 0 && from.Default.ID != "" {
		id.Tenants = []Membership{from.Default}
	}
	return id
}
