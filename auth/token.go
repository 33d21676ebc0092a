package auth

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
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

// UnmarshalJSON reads the claims that have exactly the names above. Names of
// claims are case-sensitive (RFC 7519, section 4), unlike those of package
// json: who may choose the name of a claim would set another.
func (c *claims) UnmarshalJSON(b []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return err
	}
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return !slices.Contains(claimNames, name) })
	exact, err := json.Marshal(all)
	if err != nil {
		return err
	}
	type plain claims
	return json.Unmarshal(exact, (*plain)(c))
}

var claimNames = []string{"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "auth_time", "tenants", "permissions"}

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
	id := c.identity(from)
	if c.IssuedAt != nil {
		// The issuer's clock may be ahead: a revocation of the user must not
		// miss what was issued before it.
		id.Issued = c.IssuedAt.Add(-a.leeway)
	}
	return id, nil
}

// maxTime is the latest time that can be written in JSON.
var maxTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// maxTokenID is how long a jti may be, in bytes: what a revocation can name.
const maxTokenID = 256

// checkClaims checks what the parser does not know of.
func (a *Authenticator) checkClaims(c *claims, from *issuer) error {
	if c.Subject == "" || len(c.Subject) > 128 {
		return errSubject
	}
	if len(c.ID) > maxTokenID {
		return errTokenID
	}
	for _, d := range []*jwt.NumericDate{c.IssuedAt, c.NotBefore, c.AuthTime} {
		if d != nil && (d.Unix() < 0 || d.After(maxTime)) {
			return errNotYet // beyond what seconds can count it turns into the past
		}
	}
	if from.Firebase != "" {
		switch {
		case c.AuthTime == nil:
			return errNoAuthTime
		case c.AuthTime.After(a.now().Add(a.leeway)):
			return errNotYet
		}
	}
	for i, m := range c.Tenants {
		twice := slices.ContainsFunc(c.Tenants[:i], func(o Membership) bool { return o.ID == m.ID })
		if m.ID == "" || !m.Role.Valid() || twice {
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
	if id.Expires.After(maxTime) {
		id.Expires = maxTime
	}
	if len(id.Tenants) == 0 && from.Default.ID != "" {
		id.Tenants = []Membership{from.Default}
	}
	return id
}
