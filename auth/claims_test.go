package auth

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/auth/authtest"
	"github.com/roomcast/roomcast/events"
)

// signText signs claims as they are written.
func signText(t *testing.T, claims string) string {
	t.Helper()
	var token jwt.Token
	text := token.EncodeSegment([]byte(`{"alg":"HS256"}`)) + "." + token.EncodeSegment([]byte(claims))
	sig, err := jwt.SigningMethodHS256.Sign(text, issuer0.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + token.EncodeSegment(sig)
}

// The names of claims are case-sensitive, and times are counted to the end.
func TestClaimsAsWritten(t *testing.T) {
	a, now := authenticator(t), time.Now().Unix()
	for claims, want := range map[string]events.Code{
		`"iss":"https://issuer.example","exp":%d,"SUB":"ada","Sub":"ada","ſub":"ada"`:                                       "",
		`"iss":"https://issuer.example","exp":%d,"Tenants":[{"id":"acme","role":"ADMIN"}],"permiſſions":["server:operate"]`: "",
		`"iss":"https://issuer.example","EXP":%d`:                                                                           events.CodeTokenClaims,
		`"iss":"https://issuer.example","exp":1,"Exp":%d`:                                                                   events.CodeTokenExpired,
		`"iss":"https://evil.example","ISS":"https://issuer.example","exp":%d`:                                              events.CodeTokenIssuer,
		`"iss":"https://issuer.example","exp":%d,"tenants":[{"id":"acme","role":"MEMBER"},{"id":"acme","role":"ADMIN"}]`:    events.CodeTokenClaims,
		`"iss":"https://issuer.example","exp":%d,"iat":9223372036854775807`:                                                 events.CodeTokenNotYet,
		`"iss":"https://issuer.example","exp":%d,"nbf":1e300`:                                                               events.CodeTokenNotYet,
		`"iss":"https://issuer.example","exp":%d,"iat":9e18`:                                                                events.CodeTokenNotYet,
	} {
		id, err := a.Authenticate(t.Context(), guess(signText(t, fmt.Sprintf(`{"aud":"roomcast","sub":"eve",`+claims+`}`, now+60))))
		if code(err) != want || id != nil && (id.User != "eve" || len(id.Tenants)+len(id.Permissions) > 0) {
			t.Errorf("%s: %+v %v", claims, id, err)
		}
	}
	id, err := a.Authenticate(t.Context(), guess(signText(t, `{"iss":"https://issuer.example","aud":"roomcast","sub":"eve","exp":9e18}`)))
	if err != nil || id.Expires.Year() != 9999 {
		t.Errorf("for ever: %+v %v", id, err)
	}
}

// The clock of the issuer may be ahead of that of revocations.
func TestIssuedIsNotInTheFuture(t *testing.T) {
	now := time.Now()
	text := fmt.Sprintf(`{"iss":"https://issuer.example","aud":"roomcast","sub":"eve","exp":%d,"iat":%d}`, now.Unix()+60, now.Unix()+20)
	id, err := authenticator(t).Authenticate(t.Context(), guess(signText(t, text)))
	if err != nil || id.Issued.After(now) {
		t.Errorf("%+v %v", id, err)
	}
}

func TestKeysDoNotComeFromElsewhere(t *testing.T) {
	fetched := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched = true }))
	defer inside.Close()
	outside := httptest.NewTLSServer(http.RedirectHandler(inside.URL, http.StatusFound))
	defer outside.Close()
	j := &jwks{url: outside.URL, opts: JWKSOptions{}.withDefaults(), client: &http.Client{CheckRedirect: secureRedirects, Transport: outside.Client().Transport}}
	if _, err := j.fetch(t.Context()); err == nil || fetched {
		t.Errorf("followed from https to http: %v", err)
	}
}

func TestPEMIsNoSecret(t *testing.T) {
	public := authtest.NewKey(t, "", jwt.SigningMethodES256).PEM(t)
	for _, i := range []Issuer{{Name: "i", Audience: "a", Secret: public}, {Name: "i", Audience: "a", Secret: issuer0.Secret, NextSecret: public}} {
		if i.Check() == nil {
			t.Error("a public key was taken for a secret")
		}
	}
}
