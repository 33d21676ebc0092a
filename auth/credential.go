package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/roomcast/roomcast/events"
)

// A Credential is what a client sent to prove who it is. Printing it does not
// show it.
type Credential struct {
	kind    kind
	value   string
	address string // where it came from, "" if that is not known
}

type kind uint8

const (
	none kind = iota
	token
	apiKey
)

// String implements fmt.Stringer without giving the secret away.
func (c Credential) String() string {
	return [...]string{"no credential", "a token", "an API key"}[c.kind]
}

// IsZero reports whether nothing is known: neither what was sent nor by whom.
func (c Credential) IsZero() bool { return c == Credential{} }

// From returns the credential with the address of the client that sent it, or
// sent nothing. Failures are counted by it.
func (c Credential) From(address string) Credential {
	c.address = address
	return c
}

var apiKeyForm = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// guess tells by its form what a bare credential is: 64 hexadecimal digits
// are an API key, everything else is taken for a token.
func guess(value string) Credential {
	switch {
	case value == "":
		return Credential{}
	case apiKeyForm.MatchString(value):
		return Credential{kind: apiKey, value: value}
	}
	return Credential{kind: token, value: value}
}

// FromHandshake finds the credential of a Socket.IO handshake: in the auth
// object, else in what came with the HTTP request. auth is the payload of the
// CONNECT packet as JSON and may be nil.
func FromHandshake(auth json.RawMessage, request Credential) Credential {
	var fields struct {
		Token  any `json:"token"`
		APIKey any `json:"apiKey"`
	}
	if json.Unmarshal(auth, &fields) == nil {
		if s, ok := fields.Token.(string); ok && s != "" {
			return FromText(s).From(request.address)
		}
		if s, ok := fields.APIKey.(string); ok && s != "" {
			return Credential{kind: apiKey, value: s}.From(request.address)
		}
	}
	return request
}

// FromRequest finds the credential of an HTTP request: in the Authorization
// header, else in the query.
func FromRequest(h http.Header, query url.Values) Credential {
	if c := fromHeader(h.Get("Authorization")); !c.IsZero() {
		return c
	}
	if s := query.Get("token"); s != "" {
		return guess(s)
	}
	if s := query.Get("api_key"); s != "" {
		return Credential{kind: apiKey, value: s}
	}
	return Credential{}
}

func fromHeader(value string) Credential {
	scheme, rest, found := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case !found:
		return guess(scheme)
	case strings.EqualFold(scheme, "bearer"):
		return guess(rest)
	case strings.EqualFold(scheme, "api_key") && rest != "":
		return Credential{kind: apiKey, value: rest}
	}
	return Credential{}
}

// FromText takes a credential that came by itself, such as in a payload.
func FromText(value string) Credential { return guess(strings.TrimPrefix(value, "Bearer ")) }

// errNoCredential is the refusal of a client that sent nothing.
func errNoCredential() error {
	return events.Errorf(events.CodeTokenNotFound,
		"User auth token not found: send an Authorization header, or with Socket.IO auth.token or auth.apiKey, or token or api_key in the query")
}
