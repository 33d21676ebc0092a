package auth

import (
	"encoding/json"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/auth/authtest"
)

// What an issuer serves is not ours: whatever it is, it becomes keys that can
// be used, or an error.
func FuzzKeySet(f *testing.F) {
	var all []any
	for _, m := range []jwt.SigningMethod{jwt.SigningMethodRS256, jwt.SigningMethodES256, jwt.SigningMethodEdDSA} {
		all = append(all, authtest.NewKey(f, "k", m).JWK())
	}
	seed, _ := json.Marshal(map[string]any{"keys": all})
	f.Add(seed)
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"},{"kty":"OKP","crv":"Ed25519","x":""}]}`))
	f.Add([]byte(`{"a":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := parseKeySet(raw)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
		for _, k := range keys {
			if k.material == nil || jwt.GetSigningMethod(k.alg).Verify("text", []byte("signature"), k.material) == nil {
				t.Fatalf("%+v verifies anything", k)
			}
		}
	})
}

// Whatever is sent as a token is refused with a code, unless we have signed it.
func FuzzToken(f *testing.F) {
	a, err := New(Options{Issuers: []Issuer{issuer0}})
	if err != nil {
		f.Fatal(err)
	}
	good, _ := jwt.NewWithClaims(jwt.SigningMethodHS256, validClaims(issuer0.Name, issuer0.Audience)).SignedString([]byte("not the secret, but of its length"))
	f.Add(good)
	f.Add("..")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.")
	f.Fuzz(func(t *testing.T, raw string) {
		if id, err := a.Authenticate(t.Context(), guess(raw)); err == nil || code(err) == "" {
			t.Fatalf("%q became %+v, %v", raw, id, err)
		}
	})
}
