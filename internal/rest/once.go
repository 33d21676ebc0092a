package rest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/once"
)

// The header that makes a request happen once, and the one that marks an answer
// that was given before.
const (
	keyHeader    = "Idempotency-Key"
	replayHeader = "Idempotent-Replayed"
)

// answer is what a request is answered with, as it is kept.
type answer struct {
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
}

// answerOf makes the answer of what a handler returned.
func answerOf(out any) (answer, error) {
	a := answer{Status: http.StatusOK}
	if c, ok := out.(created); ok {
		a.Status, out = http.StatusCreated, c.value
	}
	body, err := json.Marshal(out)
	a.Body = body
	return a, err
}

// secret are the requests whose answer may not be kept.
var secret = map[string]bool{"POST " + apiKeys: true}

// ownWay are the requests that look after that themselves: messages have ids,
// and reports have sequences.
var ownWay = map[string]bool{publishPattern: true, reportPattern: true}

// perform calls a handler, once if the request has a key.
func (a *API) perform(pattern string, r *request, fn func(r *request) (any, error)) (answer, error) {
	key := r.Header.Get(keyHeader)
	if key == "" || r.Method != http.MethodPost || ownWay[pattern] {
		out, err := fn(r)
		if err != nil {
			return answer{}, err
		}
		return answerOf(out)
	}
	switch {
	case !once.Valid(key):
		return answer{}, events.FieldErrorf(keyHeader, "is not 1 to 128 printable characters")
	case secret[pattern]:
		return answer{}, events.FieldErrorf(keyHeader, "is not taken here: the answer holds a secret, which is not kept")
	}
	return a.performOnce(pattern, key, r, fn)
}

func (a *API) performOnce(pattern, key string, r *request, fn func(r *request) (any, error)) (answer, error) {
	body, err := r.read()
	if err != nil {
		return answer{}, err
	}
	sum := sha256.Sum256(append([]byte(r.URL.RequestURI()+"\n"), body...))
	ctx, cancel := context.WithTimeout(r.Context(), a.opts.Timeout)
	defer cancel()
	reply, repeated, err := a.opts.Once.Do(ctx, once.Name{User: r.id.User, Event: pattern, ID: key}, hex.EncodeToString(sum[:]), func(ctx context.Context) ([]byte, error) {
		again := *r
		again.Request = r.WithContext(ctx)
		again.Body = io.NopCloser(bytes.NewReader(body))
		out, err := fn(&again)
		if err != nil {
			return nil, err
		}
		kept, err := answerOf(out)
		if err != nil {
			return nil, err
		}
		return json.Marshal(kept)
	})
	switch {
	case errors.Is(err, once.ErrOtherPayload):
		return answer{}, otherPayload(keyHeader)
	case errors.Is(err, context.DeadlineExceeded):
		return answer{}, events.Errorf(events.CodeTimeout, "the request took longer than %v: repeat it", a.opts.Timeout)
	case err != nil:
		return answer{}, err
	}
	if repeated {
		r.w.Header().Set(replayHeader, "true")
	}
	var first answer
	err = json.Unmarshal(reply, &first)
	return first, err
}

// otherPayload refuses an id that was used for something else.
func otherPayload(field string) error {
	return &events.Error{Code: events.CodeConflict, Field: field, Message: field + ": was used for another request: choose a new one"}
}
