package events

import (
	"errors"
	"fmt"
)

// A Code names a kind of error for programs. Codes never change their meaning.
type Code string

// The codes that any event, request or handshake can be refused with.
const (
	CodeValidation        Code = "VALIDATION_ERROR"              // a payload does not match the contract
	CodeInvalidRequest    Code = "INVALID_REQUEST"               // an unknown event, or one that makes no sense now
	CodeNotFound          Code = "NOT_FOUND"                     // what was named does not exist, or not for this user
	CodePermissionDenied  Code = "PERMISSION_DENIED"             // this user may not do that
	CodeConflict          Code = "CONFLICT"                      // what was named has moved on
	CodeTimeout           Code = "TIMEOUT"                       // the server took too long
	CodeInternal          Code = "INTERNAL_ERROR"                // the server's fault; its log says more
	CodeTokenNotFound     Code = "USER_AUTH_TOKEN_NOT_FOUND"     // no credential was sent
	CodeTokenExpired      Code = "USER_AUTH_TOKEN_EXPIRED"       // the token was good once
	CodeTokenInvalid      Code = "USER_AUTH_TOKEN_INVALID"       // what was sent cannot be read as a token
	CodeTokenTooLarge     Code = "USER_AUTH_TOKEN_TOO_LARGE"     // the token is longer than is read
	CodeTokenAlgorithm    Code = "USER_AUTH_TOKEN_ALGORITHM"     // none of the issuer's keys is for its algorithm
	CodeTokenSignature    Code = "USER_AUTH_TOKEN_SIGNATURE"     // it was not signed by its issuer
	CodeTokenKey          Code = "USER_AUTH_TOKEN_KEY_UNKNOWN"   // its issuer has no key of that id
	CodeTokenIssuer       Code = "USER_AUTH_TOKEN_ISSUER"        // its issuer is missing or foreign
	CodeTokenAudience     Code = "USER_AUTH_TOKEN_AUDIENCE"      // it is for another service
	CodeTokenNotYet       Code = "USER_AUTH_TOKEN_NOT_YET_VALID" // it begins, or was issued, in the future
	CodeTokenClaims       Code = "USER_AUTH_TOKEN_CLAIMS"        // a claim is missing, or says what it may not
	CodeCredentialRevoked Code = "CREDENTIAL_REVOKED"            // the token, key or user was shut out
	CodeInvalidUser       Code = "INVALID_USER"                  // a renewal with somebody else's credential
	CodeInvalidAPIKey     Code = "INVALID_API_KEY"               // the key is unknown or disabled
	CodeAuthUnavailable   Code = "AUTH_UNAVAILABLE"              // the issuer's keys cannot be had right now
	CodeTooManyFailures   Code = "TOO_MANY_FAILURES"             // too many bad credentials: wait
	CodeOrigin            Code = "NOT_ALLOWED_BY_CORS"           // the page's origin is not on the list
	CodeHost              Code = "HOST_NOT_ALLOWED"              // the Host header is not on the list
	CodeTooLarge          Code = "PAYLOAD_TOO_LARGE"             // a request body beyond the limit
	CodeTemporal          Code = "TEMPORAL_NOT_RUNNING"          // runs are executed by Temporal, which is away
	CodeTooManyRuns       Code = "TOO_MANY_RUNS"                 // of one tenant at once: wait
	CodeRateLimited       Code = "RATE_LIMITED"                  // too many messages of one connection, or connections of one address: wait
)

// The codes of widget_workflow_error.
const (
	CodeConnectionFailed    Code = "CONNECTION_FAILED"
	CodeInputFailed         Code = "INPUT_FAILED"
	CodeRefreshFailed       Code = "REFRESH_FAILED"
	CodeNodeExecutionFailed Code = "NODE_EXECUTION_FAILED"
)

// An Error is an error that a client may see: what went wrong, where, and
// what to do. Every other error reaches clients as [CodeInternal].
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	// Field names the part of the payload at fault, as a JSON path.
	Field string `json:"field,omitempty"`
	// RetryAfter is how many seconds to wait before trying again.
	RetryAfter int `json:"retryAfter,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an Error with a formatted message. Arguments that are long
// are shortened: most repeat what a client sent.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, short(args)...)}
}

// FieldErrorf is Errorf for a validation error that names a field.
func FieldErrorf(field, format string, args ...any) *Error {
	field = Shorten(field)
	return &Error{Code: CodeValidation, Field: field, Message: field + ": " + fmt.Sprintf(format, short(args)...)}
}

// NotFound is the one refusal for what does not exist and for what exists in
// another's hands, so that nobody learns which.
func NotFound(kind, id string) *Error {
	return Errorf(CodeNotFound, "%s %s not found", kind, id)
}

// Public returns err as clients may see it, and whether it was meant for them.
func Public(err error) (*Error, bool) {
	var e *Error
	if errors.As(err, &e) {
		return e, true
	}
	return Errorf(CodeInternal, "internal server error"), false
}

// Failure is emitted as "error" when an event without acknowledgement fails
// and its protocol has no error event of its own.
type Failure struct {
	Error
	// Event is the name of the event that failed.
	Event string `json:"event,omitempty"`
}

// EventName implements [Payload].
func (Failure) EventName() string { return "error" }
