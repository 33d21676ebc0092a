package rawws

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/roomcast/roomcast/events"
)

// encode makes JSON in which texts look as they were written.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// clock is a moment as two of the dialects write it: in UTC, to the second.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// pongOf answers a ping in its own shape, when nothing else is known of its
// client. What is said to a bare one is valid in both dialects that have it.
func pongOf(v verdict, f frame) any {
	if v == genesisPing {
		correlation, _ := correlationOf(f)
		return genesisFrame{Type: "pong", Payload: struct{}{}, Timestamp: f.fields["timestamp"], CorrelationID: correlation}
	}
	return map[string]any{"type": "pong", "data": struct{}{}, "timestamp": clock(time.Now())}
}

// public is an error as clients may see it.
func public(err error) *events.Error {
	e, _ := events.Public(err)
	return e
}

// isAuth reports whether a code is about who the client is.
func isAuth(code events.Code) bool {
	switch code {
	case events.CodeCredentialRevoked, events.CodeInvalidUser, events.CodeInvalidAPIKey, events.CodeAuthUnavailable, events.CodeTooManyFailures:
		return true
	}
	return strings.HasPrefix(string(code), "USER_AUTH_TOKEN_")
}
