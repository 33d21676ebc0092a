package auth

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/auth/authtest"
	"github.com/roomcast/roomcast/events"
)

func validClaims(iss, aud string) jwt.MapClaims {
	now := time.Now().Unix()
	return jwt.MapClaims{
		"iss": iss, "aud": aud, "sub": "ada", "iat": now, "exp": now + 3600, "auth_time": now,
		"tenants": []Membership{{"acme", Member}},
	}
}

func check(t *testing.T, a *Authenticator, name, raw string, want events.Code) {
	t.Helper()
	if _, err := a.Authenticate(t.Context(), guess(raw)); code(err) != want || want == "" && err != nil {
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}

func TestSecretsFollowEachOther(t *testing.T) {
	next := Issuer{Name: "i", Audience: "a", Secret: []byte(strings.Repeat("n", 32))}
	both := issuer0
	both.NextSecret = next.Secret
	a, err := New(Options{Issuers: []Issuer{both}})
	if err != nil {
		t.Fatal(err)
	}
	after := issuer0
	after.Secret = next.Secret
	for name, i := range map[string]Issuer{"old": issuer0, "new": after} {
		raw, _ := i.Sign(ada, time.Now(), time.Hour)
		check(t, a, name, raw, "")
	}
}

func TestPublicKeysInPEM(t *testing.T) {
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodES256, jwt.SigningMethodEdDSA} {
		k, other := authtest.NewKey(t, "", m), authtest.NewKey(t, "", m)
		public := k.PEM(t)
		a, err := New(Options{Issuers: []Issuer{{Name: "i", Audience: "a", PublicKeys: [][]byte{public}}}})
		if err != nil {
			t.Fatal(err)
		}
		c := validClaims("i", "a")
		check(t, a, m.Alg(), k.Sign(t, c), "")
		check(t, a, m.Alg()+" with another key", other.Sign(t, c), events.CodeTokenSignature)
		// A public key is no secret, in none of its forms.
		der, _ := x509.MarshalPKIXPublicKey(k.Signer.Public())
		for _, secret := range [][]byte{public, bytes.TrimSpace(public), der} {
			forged, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secret)
			check(t, a, "HMAC with the public key", forged, events.CodeTokenAlgorithm)
		}
		if k.Method == jwt.SigningMethodRS256 {
			for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodPS256} {
				k.Method = m
				check(t, a, m.Alg(), k.Sign(t, c), events.CodeTokenAlgorithm)
			}
		}
	}
}

func TestUnusableKeys(t *testing.T) {
	short, _ := rsa.GenerateKey(rand.Reader, 1024)
	wide, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	private, _ := x509.MarshalPKCS8PrivateKey(wide)
	encode := func(public any) []byte {
		der, _ := x509.MarshalPKIXPublicKey(public)
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	for want, block := range map[string][]byte{
		"too short":             encode(&short.PublicKey),
		"not P-256":             encode(&wide.PublicKey),
		"this is a private key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		"is not a public key":   pem.EncodeToMemory(&pem.Block{Type: "LETTER", Bytes: []byte("x")}),
	} {
		err := Issuer{Name: "i", Audience: "a", PublicKeys: [][]byte{block}}.Check()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "publicKeys[0]") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestIssuersSpeakForTheirTenantsOnly(t *testing.T) {
	i := issuer0
	i.Tenants, i.Default = []string{"acme"}, Membership{"acme", Member}
	a, err := New(Options{Issuers: []Issuer{i}})
	if err != nil {
		t.Fatal(err)
	}
	sign := func(id Identity) string {
		raw, _ := issuer0.Sign(id, time.Now(), time.Hour)
		return raw
	}
	check(t, a, "its own", sign(Identity{User: "ada", Tenants: []Membership{{"acme", Admin}}}), "")
	check(t, a, "another's", sign(Identity{User: "ada", Tenants: []Membership{{"other", Member}}}), events.CodeTokenClaims)
	check(t, a, "the whole server", sign(Identity{User: "ada", Permissions: []Permission{Operate}}), events.CodeTokenClaims)
	id, err := a.Authenticate(t.Context(), guess(sign(Identity{User: "ada"})))
	if err != nil || id.Role("acme") != Member {
		t.Errorf("without a tenant: %+v %v", id, err)
	}
}

func TestFirebase(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodRS256)
	keys := authtest.NewServer(t, k)
	a, err := New(Options{Issuers: []Issuer{{Firebase: "shop", JWKS: keys.URL(), Default: Membership{"acme", Member}}}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) jwt.MapClaims {
		c := validClaims("https://securetoken.google.com/shop", "shop")
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	anonymous := k
	anonymous.ID = ""
	later := time.Now().Add(time.Hour).Unix()
	for name, tt := range map[string]struct {
		raw  string
		code events.Code
	}{
		"good":                   {k.Sign(t, with("tenants", nil)), ""},
		"another project":        {k.Sign(t, with("iss", "https://securetoken.google.com/other")), events.CodeTokenIssuer},
		"another audience":       {k.Sign(t, with("aud", "other")), events.CodeTokenAudience},
		"no key id":              {anonymous.Sign(t, with("x", nil)), events.CodeTokenKey},
		"no subject":             {k.Sign(t, with("sub", "")), events.CodeTokenClaims},
		"long subject":           {k.Sign(t, with("sub", strings.Repeat("x", 129))), events.CodeTokenClaims},
		"no auth_time":           {k.Sign(t, with("auth_time", nil)), events.CodeTokenClaims},
		"auth_time to come":      {k.Sign(t, with("auth_time", later)), events.CodeTokenNotYet},
		"issued in the future":   {k.Sign(t, with("iat", later)), events.CodeTokenNotYet},
		"expired":                {k.Sign(t, with("exp", 1)), events.CodeTokenExpired},
		"key of somebody else's": {authtest.NewKey(t, "one", jwt.SigningMethodRS256).Sign(t, with("x", nil)), events.CodeTokenSignature},
	} {
		check(t, a, name, tt.raw, tt.code)
	}
	if (Issuer{Firebase: "shop"}).complete().JWKS != firebaseKeys {
		t.Error("the address of the keys")
	}
}

// Firebase also offers its keys as certificates by key id.
func TestCertificatesByKeyID(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodRS256)
	keys := authtest.NewServer(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Signer.Public(), k.Signer)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]string{"one": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), "odd": "x"})
	keys.Answer(body)
	a, _ := New(Options{Issuers: []Issuer{{Name: "i", Audience: "a", JWKS: keys.URL()}}})
	check(t, a, "certificate", k.Sign(t, validClaims("i", "a")), "")
}

func TestExtensionsAreRefused(t *testing.T) {
	a := authenticator(t)
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, validClaims(issuer0.Name, issuer0.Audience))
	token.Header["crit"] = []string{"b64"}
	raw, _ := token.SignedString(issuer0.Secret)
	check(t, a, "crit", raw, events.CodeTokenInvalid)
}

// store is a KeyStore.
type store map[string][]APIKey

func (s store) KeysByPrefix(_ context.Context, prefix string) ([]APIKey, error) {
	if s == nil {
		return nil, context.DeadlineExceeded
	}
	return s[prefix], nil
}

func TestKeysInTheStore(t *testing.T) {
	key, prefix, sum := NewAPIKey()
	s := store{prefix: {
		{ID: "other", Prefix: prefix, SHA256: strings.Repeat("0", 64), User: "eve", Tenant: "acme", Role: Admin},
		{ID: "mine", Prefix: prefix, SHA256: sum, User: "robot", Tenant: "acme", Role: Member},
	}}
	a, _ := New(Options{Keys: s})
	id, err := a.Authenticate(t.Context(), guess(key))
	if err != nil || id.User != "robot" || id.Credential != "mine" {
		t.Errorf("%+v %v", id, err)
	}
	s[prefix][1].Disabled = true
	check(t, a, "disabled", key, events.CodeInvalidAPIKey)
	broken, _ := New(Options{Keys: store(nil)})
	if _, err := broken.Authenticate(t.Context(), guess(key)); err == nil || code(err) != "" {
		t.Errorf("what is the server's fault was told as the client's: %v", err)
	}
}

func TestRevoked(t *testing.T) {
	var shut string
	a, _ := New(Options{Issuers: []Issuer{issuer0}, Revoked: func(id *Identity) bool { return id.Credential == shut }})
	raw, _ := issuer0.Sign(ada, time.Now(), time.Hour)
	id, err := a.Authenticate(t.Context(), guess(raw))
	if err != nil {
		t.Fatal(err)
	}
	shut = id.Credential
	check(t, a, "revoked", raw, events.CodeCredentialRevoked)
	if verified, refused := a.Counts(); verified != 1 || refused != 1 {
		t.Errorf("%d %d", verified, refused)
	}
}
