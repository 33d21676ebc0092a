package auth

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/auth/authtest"
	"github.com/roomcast/roomcast/events"
)

// remote is an authenticator with a JWK set and a clock.
type remote struct {
	*Authenticator
	keys *authtest.Server
	skew atomic.Int64
	log  bytes.Buffer
}

func newRemote(t *testing.T, keys ...authtest.Key) *remote {
	t.Helper()
	r := &remote{keys: authtest.NewServer(t, keys...)}
	var err error
	r.Authenticator, err = New(Options{
		Issuers: []Issuer{{Name: "i", Audience: "a", JWKS: r.keys.URL()}},
		JWKS:    JWKSOptions{Timeout: 200 * time.Millisecond},
		Logger:  slog.New(slog.NewTextHandler(&r.log, nil)),
		Now:     func() time.Time { return time.Now().Add(time.Duration(r.skew.Load())) },
		Failures: FailureOptions{
			Limit: 1000,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *remote) pass(d time.Duration) { r.skew.Add(int64(d)) }

func TestJWKSRotates(t *testing.T) {
	var keys []authtest.Key
	for id, m := range map[string]jwt.SigningMethod{"r": jwt.SigningMethodRS256, "e": jwt.SigningMethodES256, "d": jwt.SigningMethodEdDSA} {
		keys = append(keys, authtest.NewKey(t, id, m))
	}
	r := newRemote(t, keys...)
	c := validClaims("i", "a")
	for _, k := range keys {
		check(t, r.Authenticator, k.Method.Alg(), k.Sign(t, c), "")
		k.ID = ""
		check(t, r.Authenticator, k.Method.Alg()+" without a key id", k.Sign(t, c), "")
	}
	if n := r.keys.Fetches(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	next := authtest.NewKey(t, "next", jwt.SigningMethodES256)
	r.keys.Rotate(next)
	check(t, r.Authenticator, "a moment after the last fetch", next.Sign(t, c), events.CodeTokenKey)
	r.pass(11 * time.Second)
	check(t, r.Authenticator, "rotated", next.Sign(t, c), "")
	check(t, r.Authenticator, "the key before", keys[0].Sign(t, c), events.CodeTokenKey)
	// A key id says which key, not which algorithm.
	forged := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	forged.Header["kid"] = "next"
	raw, _ := forged.SignedString(next.PEM(t))
	check(t, r.Authenticator, "HMAC with the public key", raw, events.CodeTokenAlgorithm)
	shared := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	shared.Header["kid"] = "shared"
	raw, _ = shared.SignedString([]byte("secret"))
	check(t, r.Authenticator, "a secret that the set gives away", raw, events.CodeTokenKey)
}

func TestJWKSIsNotStormed(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodES256)
	r := newRemote(t, k)
	c := validClaims("i", "a")
	check(t, r.Authenticator, "good", k.Sign(t, c), "")
	r.pass(11 * time.Second)
	unknown := k
	var all sync.WaitGroup
	for i := range 50 {
		unknown.ID = "unknown" + string(rune('A'+i))
		raw := unknown.Sign(t, c)
		all.Go(func() { check(t, r.Authenticator, "unknown key", raw, events.CodeTokenKey) })
	}
	all.Wait()
	if n := r.keys.Fetches(); n != 2 {
		t.Errorf("fetched %d times, want 2", n)
	}
}

func TestJWKSIsDown(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodES256)
	r := newRemote(t, k)
	c := validClaims("i", "a")
	good := k.Sign(t, c)
	r.keys.Die()
	check(t, r.Authenticator, "never fetched", good, events.CodeAuthUnavailable)
	r.keys.Revive()
	check(t, r.Authenticator, "too early to try again", good, events.CodeAuthUnavailable)
	r.pass(11 * time.Second)
	check(t, r.Authenticator, "revived", good, "")
	r.keys.Die()
	r.pass(30 * time.Minute)
	check(t, r.Authenticator, "stale", good, "")
	unknown := authtest.NewKey(t, "two", jwt.SigningMethodES256)
	check(t, r.Authenticator, "perhaps a new key", unknown.Sign(t, c), events.CodeAuthUnavailable)
	check(t, r.Authenticator, "still stale", good, "")
	if !strings.Contains(r.log.String(), "key set was not fetched") || strings.Contains(r.log.String(), good) {
		t.Errorf("the log: %s", &r.log)
	}
}

func TestJWKSHangs(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodES256)
	r := newRemote(t, k)
	good := k.Sign(t, validClaims("i", "a"))
	r.keys.Hang()
	// Those who come while it hangs wait for one answer, as long as they like.
	first := make(chan error, 1)
	go func() {
		_, err := r.Authenticate(t.Context(), guess(good))
		first <- err
	}()
	<-r.keys.Arrived()
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Authenticate(impatient, guess(good)); code(err) != events.CodeAuthUnavailable {
		t.Errorf("impatient: %v", err)
	}
	if err := <-first; code(err) != events.CodeAuthUnavailable {
		t.Errorf("after the time-out: %v", err)
	}
	if n := r.keys.Fetches(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	r.keys.Resume()
	r.pass(11 * time.Second)
	check(t, r.Authenticator, "resumed", good, "")
	// With a set in hand nobody waits for a server that hangs.
	r.keys.Hang()
	r.pass(30 * time.Minute)
	check(t, r.Authenticator, "hanging again", good, "")
}

// when is the code if a condition holds, else none.
func when(code events.Code, holds bool) events.Code {
	if holds {
		return code
	}
	return ""
}

func TestJWKSIsRubbish(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodES256)
	r := newRemote(t, k)
	good := k.Sign(t, validClaims("i", "a"))
	for _, body := range []string{"<html>", "[]", `{"keys":[]}`, `{"keys":[7,{"kty":"RSA","n":"!","e":"AQAB"}]}`, `{"a":1}`, `{"a":"b"}`, strings.Repeat(" ", maxKeySet+1)} {
		r.keys.Answer([]byte(body))
		r.pass(11 * time.Second)
		check(t, r.Authenticator, body[:min(len(body), 20)], good, events.CodeAuthUnavailable)
	}
	for body, want := range map[string]string{
		`{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}`: "no RS256",
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}`:         "no RS256",
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`:              "no RS256", // too short
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQ"}]}`:                "no RS256",
	} {
		if _, err := parseKeySet([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	r.keys.Answer(nil)
	r.pass(11 * time.Second)
	check(t, r.Authenticator, "good at last", good, "")
}

// Run fetches before anybody needs the keys, and again before they are old.
func TestJWKSIsKeptFresh(t *testing.T) {
	k := authtest.NewKey(t, "one", jwt.SigningMethodES256)
	keys := authtest.NewServer(t, k)
	a, err := New(Options{
		Issuers: []Issuer{{Name: "i", Audience: "a", JWKS: keys.URL()}},
		JWKS:    JWKSOptions{Refresh: 10 * time.Millisecond, MinRefresh: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	for range 3 {
		<-keys.Arrived()
	}
	cancel()
	running.Wait()
}
