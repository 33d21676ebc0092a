package attack

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/auth/authtest"
	"github.com/roomcast/roomcast/internal/config"
	"github.com/roomcast/roomcast/internal/servertest"
)

// world is a server with issuers of every kind.
type world struct {
	*servertest.Server
	t *testing.T

	secret, next     []byte
	pem, es, ed, old authtest.Key // pem is in the configuration, the others in a key set; old no longer
	firebase         authtest.Key
	keySet           *authtest.Server
	apiKey, disabled string
}

// The issuers.
const (
	hmacIssuer = "https://hmac.example"
	pemIssuer  = "https://pem.example" // may speak for tenant default only
	setIssuer  = "https://set.example"
	fireIssuer = "https://securetoken.google.com/shop"
	audience   = "roomcast"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, secret: []byte(strings.Repeat("1", 32)), next: []byte(strings.Repeat("2", 32)),
		pem: authtest.NewKey(t, "", jwt.SigningMethodRS256), firebase: authtest.NewKey(t, "fire", jwt.SigningMethodRS256),
		es: authtest.NewKey(t, "es", jwt.SigningMethodES256), ed: authtest.NewKey(t, "ed", jwt.SigningMethodEdDSA),
		old: authtest.NewKey(t, "old", jwt.SigningMethodES256),
	}
	w.keySet = authtest.NewServer(t, w.es, w.ed)
	fire := authtest.NewServer(t, w.firebase)
	var keys [2]config.APIKey
	for i, secret := range []*string{&w.apiKey, &w.disabled} {
		key, prefix, sum := auth.NewAPIKey()
		*secret = key
		keys[i] = config.APIKey{Name: prefix, Prefix: prefix, SHA256: sum, User: "robot", Tenant: "default", Role: "ADMIN", Disabled: i == 1}
	}
	w.Server = servertest.Start(t, servertest.Options{Change: func(c *config.Config) {
		c.Auth.Failures.Limit = 1_000_000 // this is an attack
		c.Auth.APIKeys = keys[:]
		c.Auth.Issuers = []config.Issuer{
			{Name: hmacIssuer, Audience: audience, Secret: config.Secret(w.secret), NextSecret: config.Secret(w.next)},
			{Name: pemIssuer, Audience: audience, PublicKeys: []string{string(w.pem.PEM(t))}, Tenants: []string{"default"}},
			{Name: setIssuer, Audience: audience, JWKS: w.keySet.URL()},
			{Firebase: "shop", JWKS: fire.URL(), DefaultTenant: "default", DefaultRole: "ADMIN"},
		}
	}})
	return w
}

// claims are those of a good token of an administrator, with changes; nil
// takes a claim out.
func claims(issuer string, changes jwt.MapClaims) jwt.MapClaims {
	now := time.Now().Unix()
	c := jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": "ada", "jti": uuid.NewString(), "iat": now, "exp": now + 3600, "auth_time": now,
		"tenants": []any{map[string]any{"id": "default", "role": "ADMIN"}},
	}
	if issuer == fireIssuer {
		c["aud"] = "shop"
	}
	maps.Copy(c, changes)
	for name, value := range c {
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

// sign makes a token with any algorithm, key and additions to its header.
func (w *world) sign(m jwt.SigningMethod, key any, c jwt.MapClaims, header map[string]any) string {
	w.t.Helper()
	token := jwt.NewWithClaims(m, c)
	maps.Copy(token.Header, header)
	s, err := token.SignedString(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// hmac signs with the secret.
func (w *world) hmac(changes jwt.MapClaims) string {
	w.t.Helper()
	return w.sign(jwt.SigningMethodHS256, w.secret, claims(hmacIssuer, changes), nil)
}

// part returns one part of a token in place of that of another.
func swap(token, other string, part int) string {
	a, b := strings.Split(token, "."), strings.Split(other, ".")
	a[part] = b[part]
	return strings.Join(a, ".")
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// as signs a token for a user in a tenant.
func (w *world) as(user, tenant string, role auth.Role) string {
	w.t.Helper()
	return w.hmac(jwt.MapClaims{"sub": user, "tenants": []any{map[string]any{"id": tenant, "role": role}}})
}
