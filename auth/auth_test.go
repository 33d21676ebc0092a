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
	issuer = Issuer{Name: "https://issuer.example", Audience: "roomcast", Secret: []byte(strings.Repeat("s", 32))}
	ada    = Identity{User: "ada", Tenants: []Membership{{"acme", Admin}, {"other", Member}}}
)

func authenticator(t *testing.T, keys ...APIKey) *Authenticator {
	t.Helper()
	a, err := New(Options{Issuers: []Issuer{issuer}, APIKeys: keys, Leeway: 30 * time.Second})
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
	raw, err := issuer.Sign(ada, time.Now(), time.Hour)
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
	valid := jwt.MapClaims{"iss": issuer.Name, "aud": issuer.Audience, "sub": "ada", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
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
	good := sign(hs, issuer.Secret, valid)
	parts := strings.Split(good, ".")
	tests := []struct {
		name, token string
		code        events.Code
	}{
		{"valid", good, ""},
		{"expired", sign(hs, issuer.Secret, with("exp", now.Add(-time.Hour).Unix())), events.CodeTokenExpired},
		{"expired within leeway", sign(hs, issuer.Secret, with("exp", now.Add(-20*time.Second).Unix())), ""},
		{"no expiry", sign(hs, issuer.Secret, with("exp", nil)), events.CodeTokenInvalid},
		{"no issuer", sign(hs, issuer.Secret, with("iss", nil)), events.CodeTokenInvalid},
		{"foreign issuer", sign(hs, issuer.Secret, with("iss", "https://evil.example")), events.CodeTokenInvalid},
		{"no audience", sign(hs, issuer.Secret, with("aud", nil)), events.CodeTokenInvalid},
		{"wrong audience", sign(hs, issuer.Secret, with("aud", "other")), events.CodeTokenInvalid},
		{"issued in the future", sign(hs, issuer.Secret, with("iat", now.Add(time.Hour).Unix())), events.CodeTokenInvalid},
		{"no subject", sign(hs, issuer.Secret, with("sub", nil)), events.CodeTokenInvalid},
		{"long subject", sign(hs, issuer.Secret, with("sub", strings.Repeat("x", 129))), events.CodeTokenInvalid},
		{"unknown role", sign(hs, issuer.Secret, with("tenants", []Membership{{"acme", "BOSS"}})), events.CodeTokenInvalid},
		{"tenant without an id", sign(hs, issuer.Secret, with("tenants", []Membership{{"", Member}})), events.CodeTokenInvalid},
		{"other secret", sign(hs, []byte(strings.Repeat("x", 32)), valid), events.CodeTokenInvalid},
		{"other algorithm", sign(jwt.SigningMethodHS512, issuer.Secret, valid), events.CodeTokenInvalid},
		{"none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, valid), events.CodeTokenInvalid},
		{"no signature", parts[0] + "." + parts[1] + ".", events.CodeTokenInvalid},
		{"changed payload", parts[0] + "." + parts[1][:10] + "A" + parts[1][11:] + "." + parts[2], events.CodeTokenInvalid},
		{"rubbish", "not a token", events.CodeTokenInvalid},
		{"too long", strings.Repeat("a", maxToken+1), events.CodeTokenInvalid},
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
	raw, err := issuer.Sign(ada, now.Add(-time.Minute), 59*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for leeway, want := range map[time.Duration]events.Code{0: events.CodeTokenExpired, 2 * time.Second: ""} {
		a, err := New(Options{Issuers: []Issuer{issuer}, Leeway: leeway, Now: func() time.Time { return now }})
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
		"unknown": guess(other), "disabled": guess(disabled), "prefix only": guess(prefix + other[prefixLen:]), "form": {apiKey, "short"},
	} {
		if _, err := a.Authenticate(t.Context(), c); code(err) != events.CodeInvalidAPIKey {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for name, opts := range map[string]Options{
		"short secret": {Issuers: []Issuer{{"i", "a", []byte("short")}}},
		"no audience":  {Issuers: []Issuer{{"i", "", issuer.Secret}}},
		"no name":      {Issuers: []Issuer{{"", "a", issuer.Secret}}},
		"twice":        {Issuers: []Issuer{issuer, issuer}},
		"bad key":      {APIKeys: []APIKey{{Name: "k", Prefix: "1", SHA256: "2"}}},
		"no tenant":    {APIKeys: []APIKey{{Name: "k", Prefix: "12345678", SHA256: strings.Repeat("a", 64), User: "u", Role: Member}}},
		"bad role":     {APIKeys: []APIKey{{Name: "k", Prefix: "12345678", SHA256: strings.Repeat("a", 64), User: "u", Tenant: "t", Role: "KING"}}},
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
		{`{"token":"a.b.c"}`, "Bearer d.e.f", "token=g.h.i", Credential{token, "a.b.c"}},
		{`{"token":"Bearer a.b.c"}`, "", "", Credential{token, "a.b.c"}},
		{`{"token":"` + key + `"}`, "", "", Credential{apiKey, key}},
		{`{"apiKey":"` + key + `"}`, "Bearer d.e.f", "", Credential{apiKey, key}},
		{`{"token":7}`, "Bearer d.e.f", "", Credential{token, "d.e.f"}},
		{`{}`, "Bearer d.e.f", "token=g.h.i", Credential{token, "d.e.f"}},
		{`{}`, "bearer " + key, "", Credential{apiKey, key}},
		{`{}`, "api_key " + key, "", Credential{apiKey, key}},
		{`{}`, "API_KEY " + key, "", Credential{apiKey, key}},
		{`{}`, "d.e.f", "", Credential{token, "d.e.f"}},
		{`{}`, "Basic dXNlcjpwdw==", "token=g.h.i", Credential{token, "g.h.i"}},
		{`{}`, "", "token=g.h.i&api_key=" + key, Credential{token, "g.h.i"}},
		{`{}`, "", "api_key=" + key, Credential{apiKey, key}},
		{`{}`, "", "token=" + key, Credential{apiKey, key}},
		{`[1]`, "", "api_key=" + key, Credential{apiKey, key}},
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
	if s := fmt.Sprint(Credential{token, "secret"}); strings.Contains(s, "secret") {
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
