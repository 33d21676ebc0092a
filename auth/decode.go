package auth

import (
	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/events"
)

// Decode returns what a token says of itself, whether or not it is true.
func Decode(raw string) (header, claims map[string]any, err error) {
	raw = FromText(raw).value
	if len(raw) > maxToken {
		return nil, nil, errTooLarge
	}
	var c jwt.MapClaims
	t, _, _ := jwt.NewParser().ParseUnverified(raw, &c)
	if t == nil || c == nil {
		return nil, nil, events.Errorf(events.CodeTokenInvalid, "this is not a token: it has no three parts of base64url with JSON in them")
	}
	return t.Header, c, nil
}
