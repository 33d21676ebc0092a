package auth

import (
	"errors"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomcast/roomcast/events"
)

// refuse makes the refusal of a token. Each reason has a code of its own, so
// that a client knows whether to sign in again, to wait, or to ask for help.
func refuse(code events.Code, why string) *events.Error {
	return events.Errorf(code, "User auth token %s", why)
}

// The refusals that say nothing about the token in hand.
var (
	errTooLarge      = refuse(events.CodeTokenTooLarge, "is too large: 8 KiB are read")
	errIssuer        = refuse(events.CodeTokenIssuer, "has an issuer (iss) that is not in auth.issuers")
	errAudience      = refuse(events.CodeTokenAudience, "is for another audience (aud)")
	errAlgorithm     = refuse(events.CodeTokenAlgorithm, "has an algorithm (alg) that its issuer's keys are not for")
	errSignature     = refuse(events.CodeTokenSignature, "has a wrong signature")
	errKeyUnknown    = refuse(events.CodeTokenKey, "names a key (kid) that its issuer does not have")
	errExpired       = refuse(events.CodeTokenExpired, "has expired: get a new one")
	errNotYet        = refuse(events.CodeTokenNotYet, "is not valid yet (iat, nbf, auth_time): check the issuer's clock")
	errNoExpiry      = refuse(events.CodeTokenClaims, "has no expiry (exp)")
	errTokenID       = refuse(events.CodeTokenClaims, "has an id (jti) that is longer than 256 bytes: it could not be revoked")
	errSubject       = refuse(events.CodeTokenClaims, "has a subject (sub) that is empty or longer than 128 bytes")
	errTenants       = refuse(events.CodeTokenClaims, "names a tenant twice, without an id, or with a role that is not ADMIN, MEMBER or PUBLISHER")
	errForeignTenant = refuse(events.CodeTokenClaims, "names a tenant or permission that its issuer may not speak for")
	errNoAuthTime    = refuse(events.CodeTokenClaims, "has no time of authentication (auth_time)")
	errCritical      = refuse(events.CodeTokenInvalid, "needs extensions (crit) that this server does not know")
	errMalformed     = refuse(events.CodeTokenInvalid, "is not valid: it is malformed")
	errUnavailable   = events.Errorf(events.CodeAuthUnavailable, "the keys of the token's issuer cannot be fetched: try again in a moment")
	errRevoked       = events.Errorf(events.CodeCredentialRevoked, "this credential was revoked: sign in again")
	errInvalidAPIKey = events.Errorf(events.CodeInvalidAPIKey, "Invalid or Inactive API key")
)

// reason turns an error of the parser into a refusal. t is what was parsed,
// which may be nil.
func reason(t *jwt.Token, err error) error {
	var ours *events.Error
	switch {
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, jwt.ErrTokenMalformed):
		return errMalformed
	case t != nil && t.Header["alg"] != nil && !known(t.Method):
		return errAlgorithm
	}
	for _, r := range []struct {
		err     error
		refusal *events.Error
	}{
		{jwt.ErrTokenSignatureInvalid, errSignature},
		{jwt.ErrTokenRequiredClaimMissing, errNoExpiry},
		{jwt.ErrTokenExpired, errExpired},
		{jwt.ErrTokenUsedBeforeIssued, errNotYet},
		{jwt.ErrTokenNotValidYet, errNotYet},
	} {
		if errors.Is(err, r.err) {
			return r.refusal
		}
	}
	return errMalformed
}
