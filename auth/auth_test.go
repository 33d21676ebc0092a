package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/events"
)

var (
	issuer0 = Issuer{Name: "https://issuer.example", Audience: "roomcast", Secret: []byte(strings.Repeat("s", 32))}
	ada     = Identity{User: "ada", Tenants: []Membership{{"acme", Admin}, {"other", Member}}}
)

func authenticator(t *testing.T, keys ...APIKey) *Authenticator {
	t.Helper()
	a, err := New(Options{Issuers: []Issuer{issuer0}, APIKeys: keys, Leeway: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func code(err error) events.Code {
	var e *events.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestTokenRoundTrip(t *testing.T) {
	raw, err := issuer0.Sign(ada, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	id, err := authenticator(t).Authenticate(t.Context(), guess(raw))
	if err != nil {
		t.Fatal(err)
	}
	if id.User != "ada" || id.Role("acme") != Admin || id.Role("other") != Member || id.Role("foreign") != "" ||
		id.Method != "token" || id.Credential == "" || time.Until(id.Expires) < 59*time.Minute {
		t.Errorf("%+v", id)
	}
}

func TestBadTokens(t *testing.T) {
	now := time.Now()
	valid := jwt.MapClaims{"iss": issuer0.Name, "aud": issuer0.Audience, "sub": "ada", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	with := func(name string, value any) jwt.MapClaims {
		m := jwt.MapClaims{}
		for k, v := range valid {
			m[k] = v
		}
		if value == nil {
			delete(m, name)
		} else {
			m[name] = value
		}
		return m
	}
	sign := func(m jwt.SigningMethod, key any, c jwt.Claims) string {
		s, err := jwt.NewWithClaims(m, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	hs := jwt.SigningMethodHS256
	good := sign(hs, issuer0.Secret, valid)
	parts := strings.Split(good, ".")
	tests := []struct {
		name, token string
		code        events.Code
	}{
		{"valid", good, ""},
		{"expired", sign(hs, issuer0.Secret, with("exp", now.Add(-time.Hour).Unix())), events.CodeTokenExpired},
		{"expired within leeway", sign(hs, issuer0.Secret, with("exp", now.Add(-20*time.Second).Unix())), ""},
		{"no expiry", sign(hs, issuer0.Secret, with("exp", nil)), events.CodeTokenClaims},
		{"no issuer", sign(hs, issuer0.Secret, with("iss", nil)), events.CodeTokenIssuer},
		{"foreign issuer", sign(hs, issuer0.Secret, with("iss", "https://evil.example")), events.CodeTokenIssuer},
		{"no audience", sign(hs, issuer0.Secret, with("aud", nil)), events.CodeTokenAudience},
		{"wrong audience", sign(hs, issuer0.Secret, with("aud", "other")), events.CodeTokenAudience},
		{"issued in the future", sign(hs, issuer0.Secret, with("iat", now.Add(time.Hour).Unix())), events.CodeTokenNotYet},
		{"no subject", sign(hs, issuer0.Secret, with("sub", nil)), events.CodeTokenClaims},
		{"long subject", sign(hs, issuer0.Secret, with("sub", strings.Repeat("x", 129))), events.CodeTokenClaims},
		{"unknown role", sign(hs, issuer0.Secret, with("tenants", []Membership{{"acme", "BOSS"}})), events.CodeTokenClaims},
		{"tenant without an id", sign(hs, issuer0.Secret, with("tenants", []Membership{{"", Member}})), events.CodeTokenClaims},
		{"other secret", sign(hs, []byte(strings.Repeat("x", 32)), valid), events.CodeTokenSignature},
		{"other algorithm", sign(jwt.SigningMethodHS512, issuer0.Secret, valid), events.CodeTokenAlgorithm},
		{"none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, valid), events.CodeTokenAlgorithm},
		{"no signature", parts[0] + "." + parts[1] + ".", events.CodeTokenSignature},
		{"changed subject", parts[0] + "." + strings.Split(sign(hs, []byte(strings.Repeat("x", 32)), with("sub", "eve")), ".")[1] + "." + parts[2], events.CodeTokenSignature},
		{"not begun", sign(hs, issuer0.Secret, with("nbf", now.Add(time.Hour).Unix())), events.CodeTokenNotYet},
		{"expiry is text", sign(hs, issuer0.Secret, with("exp", "soon")), events.CodeTokenInvalid},
		{"two dots and nothing", "..", events.CodeTokenInvalid},
		{"rubbish", "not a token", events.CodeTokenInvalid},
		{"too long", strings.Repeat("a", maxToken+1), events.CodeTokenTooLarge},
		{"empty", "", events.CodeTokenNotFound},
	}
	a := authenticator(t)
	for _, tt := range tests {
		if _, err := a.Authenticate(t.Context(), guess(tt.token)); code(err) != tt.code {
			t.Errorf("%s: %v, want code %q", tt.name, err, tt.code)
		}
	}
}

// No leeway is none, not the usual one.
func TestNoLeeway(t *testing.T) {
	now := time.Now().Truncate(time.Second) // as tokens have it
	raw, err := issuer0.Sign(ada, now.Add(-time.Minute), 59*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for leeway, want := range map[time.Duration]events.Code{0: events.CodeTokenExpired, 2 * time.Second: ""} {
		a, err := New(Options{Issuers: []Issuer{issuer0}, Leeway: leeway, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Authenticate(t.Context(), guess(raw)); code(err) != want {
			t.Errorf("leeway %v: %v, want code %q", leeway, err, want)
		}
	}
}

func TestAPIKeys(t *testing.T) {
	key, prefix, sum := NewAPIKey()
	disabled, dPrefix, dSum := NewAPIKey()
	a := authenticator(t,
		APIKey{Name: "ci", Prefix: prefix, SHA256: sum, User: "robot", Tenant: "acme", Role: Member},
		APIKey{Name: "old", Prefix: dPrefix, SHA256: dSum, User: "robot", Tenant: "acme", Role: Member, Disabled: true})
	id, err := a.Authenticate(t.Context(), guess(strings.ToUpper(key)))
	if err != nil || id.User != "robot" || id.Role("acme") != Member || id.Method != "api_key" || id.Credential != "ci" {
		t.Errorf("%+v %v", id, err)
	}
	other, _, _ := NewAPIKey()
	for name, c := range map[string]Credential{
		"unknown": guess(other), "disabled": guess(disabled), "prefix only": guess(prefix + other[prefixLen:]), "form": {kind: apiKey, value: "short"},
	} {
		if _, err := a.Authenticate(t.Context(), c); code(err) != events.CodeInvalidAPIKey {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, opts := range map[string]Options{
		"short secret":   {Issuers: []Issuer{{Name: "i", Audience: "a", Secret: []byte("short")}}},
		"no audience":    {Issuers: []Issuer{{Name: "i", Secret: issuer0.Secret}}},
		"no name":        {Issuers: []Issuer{{Audience: "a", Secret: issuer0.Secret}}},
		"no keys":        {Issuers: []Issuer{{Name: "i", Audience: "a"}}},
		"two kinds":      {Issuers: []Issuer{{Name: "i", Audience: "a", Secret: issuer0.Secret, JWKS: "https://a.example/"}}},
		"next alone":     {Issuers: []Issuer{{Name: "i", Audience: "a", NextSecret: issuer0.Secret, JWKS: "https://a.example/"}}},
		"next short":     {Issuers: []Issuer{{Name: "i", Audience: "a", Secret: issuer0.Secret, NextSecret: []byte("short")}}},
		"plain jwks":     {Issuers: []Issuer{{Name: "i", Audience: "a", JWKS: "http://a.example/"}}},
		"no PEM":         {Issuers: []Issuer{{Name: "i", Audience: "a", PublicKeys: [][]byte{[]byte("x")}}}},
		"default role":   {Issuers: []Issuer{{Name: "i", Audience: "a", Secret: issuer0.Secret, Default: Membership{"t", "KING"}}}},
		"default tenant": {Issuers: []Issuer{{Name: "i", Audience: "a", Secret: issuer0.Secret, Tenants: []string{"u"}, Default: Membership{"t", Member}}}},
		"twice":          {Issuers: []Issuer{issuer0, issuer0}},
		"bad key":        {APIKeys: []APIKey{{Name: "k", Prefix: "1", SHA256: "2"}}},
		"no tenant":      {APIKeys: []APIKey{{Name: "k", Prefix: "12345678", SHA256: strings.Repeat("a", 64), User: "u", Role: Member}}},
		"bad role":       {APIKeys: []APIKey{{Name: "k", Prefix: "12345678", SHA256: strings.Repeat("a", 64), User: "u", Tenant: "t", Role: "KING"}}},
	} {
		if _, err := New(opts); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// The places a credential may stand in, in their order of precedence.
func TestWhereCredentialsAreFound(t *testing.T) {
	key := strings.Repeat("ab", 32)
	for _, tt := range []struct {
		auth, header, query string
		want                Credential
	}{
		{"", "", "", Credential{}},
		{`{"token":"a.b.c"}`, "Bearer d.e.f", "token=g.h.i", Credential{kind: token, value: "a.b.c"}},
		{`{"token":"Bearer a.b.c"}`, "", "", Credential{kind: token, value: "a.b.c"}},
		{`{"token":"` + key + `"}`, "", "", Credential{kind: apiKey, value: key}},
		{`{"apiKey":"` + key + `"}`, "Bearer d.e.f", "", Credential{kind: apiKey, value: key}},
		{`{"token":7}`, "Bearer d.e.f", "", Credential{kind: token, value: "d.e.f"}},
		{`{}`, "Bearer d.e.f", "token=g.h.i", Credential{kind: token, value: "d.e.f"}},
		{`{}`, "bearer " + key, "", Credential{kind: apiKey, value: key}},
		{`{}`, "api_key " + key, "", Credential{kind: apiKey, value: key}},
		{`{}`, "API_KEY " + key, "", Credential{kind: apiKey, value: key}},
		{`{}`, "d.e.f", "", Credential{kind: token, value: "d.e.f"}},
		{`{}`, "Basic dXNlcjpwdw==", "token=g.h.i", Credential{kind: token, value: "g.h.i"}},
		{`{}`, "", "token=g.h.i&api_key=" + key, Credential{kind: token, value: "g.h.i"}},
		{`{}`, "", "api_key=" + key, Credential{kind: apiKey, value: key}},
		{`{}`, "", "token=" + key, Credential{kind: apiKey, value: key}},
		{`[1]`, "", "api_key=" + key, Credential{kind: apiKey, value: key}},
	} {
		query, _ := url.ParseQuery(tt.query)
		h := http.Header{}
		if tt.header != "" {
			h.Set("Authorization", tt.header)
		}
		if got := FromHandshake(json.RawMessage(tt.auth), FromRequest(h, query)); got != tt.want {
			t.Errorf("%s | %s | %s: got %#v", tt.auth, tt.header, tt.query, got)
		}
	}
	if got := FromHandshake(json.RawMessage(`{"token":"a.b.c"}`), Credential{}.From("192.0.2.1")); got != (Credential{token, "a.b.c", "192.0.2.1"}) {
		t.Errorf("the address was lost: %#v", got)
	}
	if s := fmt.Sprint(Credential{kind: token, value: "secret"}); strings.Contains(s, "secret") {
		t.Errorf("printed as %s", s)
	}
}

func TestRights(t *testing.T) {
	for _, tt := range []struct {
		id     *Identity
		action Action
		tenant string
		want   bool
	}{
		{&ada, StopRuns, "acme", true},
		{&ada, StopRuns, "other", false},
		{&ada, Chat, "other", true},
		{&ada, Chat, "foreign", false},
		{&ada, "unknown:action", "acme", false},
		{nil, Chat, "acme", false},
		{&Identity{Tenants: []Membership{{"acme", "KING"}}}, Chat, "acme", false},
	} {
		if got := tt.id.Can(tt.action, tt.tenant); got != tt.want {
			t.Errorf("%v %s in %s: %v", tt.id, tt.action, tt.tenant, got)
		}
	}
	member := &Identity{Tenants: []Membership{{"acme", Member}}}
	operator := &Identity{Permissions: []Permission{Operate}}
	if !ada.CanMonitor() || member.CanMonitor() || !operator.CanMonitor() || (*Identity)(nil).CanMonitor() {
		t.Error("CanMonitor")
	}
}
