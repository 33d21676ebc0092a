package attack

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
)

// A credential is good, or refused with a code.
type credential struct {
	name, value string
	code        events.Code
}

// credentials are what may be presented, and what each has to be answered with
// by every transport. The first are good, so that the others are known to fail
// for their own sake.
func credentials(w *world) []credential {
	rs, es, hs := jwt.SigningMethodRS256, jwt.SigningMethodES256, jwt.SigningMethodHS256
	good, none := w.hmac(nil), jwt.SigningMethodNone
	hour := time.Now().Add(time.Hour).Unix()
	fire := func(changes jwt.MapClaims, header map[string]any) string {
		if header == nil {
			header = map[string]any{"kid": "fire"}
		}
		return w.sign(rs, w.firebase.Signer, claims(fireIssuer, changes), header)
	}
	set := func(header map[string]any) string { return w.sign(es, w.es.Signer, claims(setIssuer, nil), header) }
	roles := func(id, role any) jwt.MapClaims {
		return jwt.MapClaims{"tenants": []any{map[string]any{"id": id, "role": role}}}
	}
	return []credential{
		{"good: HS256", good, ""},
		{"good: HS256 with the next secret", w.sign(hs, w.next, claims(hmacIssuer, nil), nil), ""},
		{"good: RS256 from PEM", w.sign(rs, w.pem.Signer, claims(pemIssuer, nil), nil), ""},
		{"good: ES256 from a key set", set(map[string]any{"kid": "es"}), ""},
		{"good: EdDSA from a key set", w.ed.Sign(w.t, claims(setIssuer, nil)), ""},
		{"good: Firebase", fire(jwt.MapClaims{"tenants": nil}, nil), ""},
		{"good: API key", w.apiKey, ""},
		{"good: just expired, within the leeway", w.hmac(jwt.MapClaims{"exp": time.Now().Unix() - 20}), ""},

		{"nothing", "", events.CodeTokenNotFound},
		{"rubbish", "rubbish", events.CodeTokenInvalid},
		{"three words", "a.b.c", events.CodeTokenInvalid},
		{"five parts", good + ".a.b", events.CodeTokenInvalid},
		{"oversize", strings.Repeat("a", 9<<10), events.CodeTokenTooLarge},
		{"oversize and well signed", w.hmac(jwt.MapClaims{"x": strings.Repeat("a", 9<<10)}), events.CodeTokenTooLarge},
		{"needs an extension", w.sign(hs, w.secret, claims(hmacIssuer, nil), map[string]any{"crit": []string{"b64"}}), events.CodeTokenInvalid},

		{"alg none", w.sign(none, jwt.UnsafeAllowNoneSignatureType, claims(hmacIssuer, nil), nil), events.CodeTokenAlgorithm},
		{"alg None", w.sign(none, jwt.UnsafeAllowNoneSignatureType, claims(hmacIssuer, nil), map[string]any{"alg": "None"}), events.CodeTokenAlgorithm},
		{"alg none with a signature", w.sign(hs, w.secret, claims(hmacIssuer, nil), map[string]any{"alg": "none"}), events.CodeTokenAlgorithm},
		{"alg of another size", w.sign(jwt.SigningMethodHS512, w.secret, claims(hmacIssuer, nil), nil), events.CodeTokenAlgorithm},
		{"alg RS384", w.sign(jwt.SigningMethodRS384, w.pem.Signer, claims(pemIssuer, nil), nil), events.CodeTokenAlgorithm},
		{"alg PS256", w.sign(jwt.SigningMethodPS256, w.pem.Signer, claims(pemIssuer, nil), nil), events.CodeTokenAlgorithm},
		{"HMAC with the public key from PEM", w.sign(hs, w.pem.PEM(w.t), claims(pemIssuer, nil), nil), events.CodeTokenAlgorithm},
		{"HMAC with a public key of the set", w.sign(hs, w.es.PEM(w.t), claims(setIssuer, nil), map[string]any{"kid": "es"}), events.CodeTokenAlgorithm},
		{"HMAC with Firebase's public key", w.sign(hs, w.firebase.PEM(w.t), claims(fireIssuer, nil), map[string]any{"kid": "fire"}), events.CodeTokenAlgorithm},
		{"HMAC with nothing", w.sign(hs, []byte{}, claims(setIssuer, nil), map[string]any{"kid": "es"}), events.CodeTokenAlgorithm},
		{"ES256 of an HMAC issuer", w.sign(es, w.es.Signer, claims(hmacIssuer, nil), nil), events.CodeTokenAlgorithm},
		{"a secret in the key set", w.sign(hs, []byte("secret"), claims(setIssuer, nil), map[string]any{"kid": "shared"}), events.CodeTokenKey},

		{"no signature", good[:strings.LastIndex(good, ".")+1], events.CodeTokenSignature},
		{"claims of another token", swap(good, w.hmac(jwt.MapClaims{"sub": "root"}), 1), events.CodeTokenSignature},
		{"signature of another token", swap(good, w.hmac(nil), 2), events.CodeTokenSignature},
		{"another secret", w.sign(hs, []byte(strings.Repeat("x", 32)), claims(hmacIssuer, nil), nil), events.CodeTokenSignature},
		{"key in the header", w.sign(rs, w.firebase.Signer, claims(pemIssuer, nil), map[string]any{"jwk": w.firebase.JWK()}), events.CodeTokenSignature},
		{"key of another issuer", w.sign(rs, w.pem.Signer, claims(fireIssuer, nil), map[string]any{"kid": "fire"}), events.CodeTokenSignature},
		{"keys elsewhere", w.sign(es, w.old.Signer, claims(setIssuer, nil), map[string]any{"kid": "es", "jku": w.keySet.URL()}), events.CodeTokenSignature},

		{"key rotated out", w.old.Sign(w.t, claims(setIssuer, nil)), events.CodeTokenKey},
		{"kid is a path", set(map[string]any{"kid": "../../../../dev/null"}), events.CodeTokenKey},
		{"kid is SQL", set(map[string]any{"kid": "es' OR '1'='1"}), events.CodeTokenKey},
		{"kid is an address", set(map[string]any{"kid": "https://evil.example/key"}), events.CodeTokenKey},

		{"no issuer", w.hmac(jwt.MapClaims{"iss": nil}), events.CodeTokenIssuer},
		{"foreign issuer", w.hmac(jwt.MapClaims{"iss": "https://evil.example"}), events.CodeTokenIssuer},
		{"issuer with a slash", w.hmac(jwt.MapClaims{"iss": hmacIssuer + "/"}), events.CodeTokenIssuer},
		{"issuer is a list", w.hmac(jwt.MapClaims{"iss": []string{hmacIssuer}}), events.CodeTokenInvalid},
		{"another Firebase project", fire(jwt.MapClaims{"iss": "https://securetoken.google.com/evil"}, nil), events.CodeTokenIssuer},
		{"no audience", w.hmac(jwt.MapClaims{"aud": nil}), events.CodeTokenAudience},
		{"wrong audience", w.hmac(jwt.MapClaims{"aud": "other"}), events.CodeTokenAudience},
		{"nearly the audience", w.hmac(jwt.MapClaims{"aud": []string{"roomcast2", "Roomcast"}}), events.CodeTokenAudience},

		{"expired", w.hmac(jwt.MapClaims{"exp": time.Now().Unix() - 60}), events.CodeTokenExpired},
		{"expired for ever", w.hmac(jwt.MapClaims{"exp": -1}), events.CodeTokenExpired},
		{"no expiry", w.hmac(jwt.MapClaims{"exp": nil}), events.CodeTokenClaims},
		{"expiry is text", w.hmac(jwt.MapClaims{"exp": "never"}), events.CodeTokenInvalid},
		{"issued in the future", w.hmac(jwt.MapClaims{"iat": hour}), events.CodeTokenNotYet},
		{"not begun", w.hmac(jwt.MapClaims{"nbf": hour}), events.CodeTokenNotYet},
		{"no user", w.hmac(jwt.MapClaims{"sub": nil}), events.CodeTokenClaims},
		{"a user too long", w.hmac(jwt.MapClaims{"sub": strings.Repeat("a", 129)}), events.CodeTokenClaims},
		{"a user who is an object", w.hmac(jwt.MapClaims{"sub": map[string]any{"$ne": ""}}), events.CodeTokenInvalid},
		{"a role that is none", w.hmac(roles("default", "ROOT")), events.CodeTokenClaims},
		{"a role in small letters", w.hmac(roles("default", "admin")), events.CodeTokenClaims},
		{"a tenant without an id", w.hmac(roles("", "ADMIN")), events.CodeTokenClaims},
		{"tenants are an object", w.hmac(jwt.MapClaims{"tenants": map[string]any{"default": "ADMIN"}}), events.CodeTokenInvalid},
		{"a tenant that is not the issuer's", w.sign(rs, w.pem.Signer, claims(pemIssuer, roles("other", "ADMIN")), nil), events.CodeTokenClaims},
		{"a permission that is not the issuer's", w.sign(rs, w.pem.Signer, claims(pemIssuer, jwt.MapClaims{"permissions": []string{"server:operate"}}), nil), events.CodeTokenClaims},
		{"Firebase without auth_time", fire(jwt.MapClaims{"auth_time": nil}, nil), events.CodeTokenClaims},
		{"Firebase with auth_time to come", fire(jwt.MapClaims{"auth_time": hour}, nil), events.CodeTokenNotYet},
		{"Firebase without kid", fire(nil, map[string]any{}), events.CodeTokenKey},

		{"unknown API key", strings.Repeat("ab", 32), events.CodeInvalidAPIKey},
		{"prefix of an API key", w.apiKey[:8] + strings.Repeat("0", 56), events.CodeInvalidAPIKey},
		{"hash of an API key", hash(w.apiKey), events.CodeInvalidAPIKey},
		{"disabled API key", w.disabled, events.CodeInvalidAPIKey},
		{"an API key and more", w.apiKey + "0", events.CodeTokenInvalid},
	}
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	var shown []credential
	n := 0
	for _, x := range transports(w.Server) {
		table := credentials(w) // some of them are good for a few seconds
		shown = append(shown, table...)
		if refused := len(table) - 8; refused < 60 {
			t.Fatalf("%d credentials are refused, the table should have 60", refused)
		}
		for _, c := range table {
			if got := x.knock(t, c.value); got != c.code {
				t.Errorf("%s, %s: code %q, want %q", x.name(), c.name, got, c.code)
			}
			n++
		}
	}
	t.Logf("%d cases over %d transports", n, len(transports(w.Server)))
	log := w.Log.String()
	for _, c := range shown {
		if len(c.value) > 40 && strings.Contains(log, c.value) {
			t.Errorf("the log shows the credential %q", c.name)
		}
	}
	for _, code := range []events.Code{events.CodeTokenAlgorithm, events.CodeTokenSignature, events.CodeInvalidAPIKey} {
		if !strings.Contains(w.Log.String(), "session refused\" namespace=/ address=127.0.0.1 code="+string(code)) {
			t.Errorf("the log does not tell of %s", code)
		}
	}
	if !strings.Contains(w.Log.String(), "request refused") {
		t.Error("the log does not tell of requests")
	}
}

// A set that was fetched lets people in while its issuer is down, and a new
// key is found when it is up again.
func TestIssuerRotatesHangsAndDies(t *testing.T) {
	w := newWorld(t)
	good := w.es.Sign(t, claims(setIssuer, nil))
	for _, x := range transports(w.Server) {
		if code := x.knock(t, good); code != "" {
			t.Errorf("%s before: %s", x.name(), code)
		}
	}
	w.keySet.Rotate(w.old)
	w.keySet.Hang()
	for _, x := range transports(w.Server) {
		if code := x.knock(t, good); code != "" {
			t.Errorf("%s while it hangs: %s", x.name(), code)
		}
	}
	w.keySet.Resume()
	w.keySet.Die()
	for _, x := range transports(w.Server) {
		if code := x.knock(t, good); code != "" {
			t.Errorf("%s while it is down: %s", x.name(), code)
		}
	}
	if n := w.keySet.Fetches(); n > 2 {
		t.Errorf("the set was fetched %d times", n)
	}
}

// Verification is paid for when a session enters a namespace, not by events.
func TestVerifiedOncePerConnect(t *testing.T) {
	w := newWorld(t)
	before, _ := w.App.AuthCounts()
	c := dial(t, w.Server, "/")
	defer c.Close()
	if code := c.enter(map[string]any{"token": w.as("ada", "default", auth.Admin)}); code != "" {
		t.Fatal(code)
	}
	for range 500 {
		if _, code := c.call("join_tenant", "default"); code != "" {
			t.Fatal(code)
		}
	}
	if after, _ := w.App.AuthCounts(); after-before != 1 {
		t.Errorf("500 events in one namespace took %d verifications", after-before)
	}
	c.prefix = "/monitor,"
	if code := c.enter(map[string]any{"token": w.as("ada", "default", auth.Admin)}); code != "" {
		t.Fatal(code)
	}
	if after, _ := w.App.AuthCounts(); after-before != 2 {
		t.Errorf("a second namespace took %d", after-before-1)
	}
}
