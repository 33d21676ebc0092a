package openai

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/roomcast/roomcast/internal/chat/provider"
)

// A failure is an error of the provider, and whether asking again may help.
type failure struct {
	told  provider.Error
	again bool
}

func (f *failure) Error() string { return f.told.Text }

func fail(kind provider.Kind, format string, args ...any) *failure {
	return &failure{told: provider.Error{Kind: kind, Text: fmt.Sprintf(format, args...)}}
}

func malformed(text string) *failure { return fail(provider.Malformed, "%s", text) }

func brokeOff(cause error) *failure {
	return &failure{provider.Error{Kind: provider.Unavailable, Text: "the language model broke off its answer", Cause: cause}, true}
}

// A report is what an endpoint says of an error. The message is left out: it
// quotes prompts and keys.
type report struct {
	given  bool // there was an error object
	status int  // of a code that is a number
	codes  []string
}

// harmless are codes that may be repeated: names that programs give, which no
// key or prompt looks like.
var harmless = regexp.MustCompile(`^[a-z]{1,24}(_[a-z]{1,24}){0,5}$`)

func parseReport(raw []byte) report {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(raw, &answer) != nil {
		return report{}
	}
	return parseErrorObject(answer.Error)
}

// parseErrorObject takes what is known of an error from its object, which some
// servers replace with a text.
func parseErrorObject(raw json.RawMessage) report {
	if len(raw) == 0 || string(raw) == "null" {
		return report{}
	}
	var object struct{ Code, Type any }
	json.Unmarshal(raw, &object) // what cannot be decoded says nothing
	return newReport(object.Code, object.Type)
}

func newReport(code any, kind any) report {
	r := report{given: true}
	for _, v := range []any{code, kind} {
		switch v := v.(type) {
		case float64:
			r.status = int(v)
		case int:
			r.status = v
		case string:
			if harmless.MatchString(v) {
				r.codes = append(r.codes, v)
			}
		}
	}
	return r
}

func (r report) is(codes ...string) bool {
	return slices.ContainsFunc(codes, func(c string) bool { return slices.Contains(r.codes, c) })
}

// failure is what an error object means that came without a status.
func (r report) failure() *failure {
	status := r.status
	switch {
	case status >= 300:
	case r.is("rate_limit_exceeded", "rate_limit_error", "insufficient_quota"):
		status = http.StatusTooManyRequests
	case r.is("invalid_api_key", "authentication_error", "permission_error"):
		status = http.StatusUnauthorized
	case r.is("invalid_request_error", "context_length_exceeded", "model_not_found"):
		status = http.StatusBadRequest
	default:
		status = http.StatusInternalServerError
	}
	return r.of(status, "error in the stream")
}

// of is what the report means together with a status. said goes into the text,
// with the first of the codes.
func (r report) of(status int, said string) *failure {
	if len(r.codes) > 0 {
		said += ", " + r.codes[0]
	}
	switch {
	case r.is("content_filter", "content_policy_violation"):
		return fail(provider.Filtered, "the language model refuses to talk about this (%s)", said)
	case r.is("insufficient_quota"):
		return fail(provider.RateLimited, "the account of this server with the language model is used up (%s)", said)
	case r.is("context_length_exceeded"):
		return fail(provider.BadRequest, "the conversation is too long for the language model (%s)", said)
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fail(provider.Auth, "the language model does not accept the key of this server (%s)", said)
	case http.StatusTooManyRequests:
		f := fail(provider.RateLimited, "the language model is asked too much at the moment (%s)", said)
		f.again = true
		return f
	case http.StatusNotFound:
		return fail(provider.BadRequest, "the language model is not known where it is configured to be (%s)", said)
	}
	if status >= 400 && status < 500 && status != http.StatusRequestTimeout {
		return fail(provider.BadRequest, "the language model does not accept the request (%s)", said)
	}
	f := fail(provider.Unavailable, "the language model is not available at the moment (%s)", said)
	f.again = slices.Contains([]int{500, 502, 503, 504, 529}, status)
	return f
}

// statusFailure is an answer with a status that is not 200.
func statusFailure(res *http.Response, r report) *failure {
	f := r.of(res.StatusCode, "status "+strconv.Itoa(res.StatusCode))
	if f.again || f.told.Kind == provider.RateLimited {
		f.told.RetryAfter = retryAfter(res.Header, time.Now())
	}
	return f
}

// retryAfter understands the header in both of its forms, and the finer one that
// some endpoints send.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		if s > 0 && s < 1e6 {
			return time.Duration(s * float64(time.Second))
		}
		return 0
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// understand makes a failure of whatever the library and the transport return.
func (o Options) understand(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*openai.APIError](err); ok { // in the stream
		return newReport(e.Code, e.Type).failure()
	}
	if errors.Is(err, openai.ErrTooManyEmptyStreamMessages) {
		return malformed("the language model sent no answer but too many comments")
	}
	if u, ok := errors.AsType[*url.Error](err); ok { // it has the address
		return o.unreachable(u.Err)
	}
	return brokeOff(err)
}

// unreachable is a request without an answer.
func (o Options) unreachable(err error) *failure {
	if errors.Is(err, syscall.ECONNREFUSED) {
		f := fail(provider.Unavailable, "the language model cannot be reached")
		f.told.Cause, f.again = err, true
		return f
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() && !errors.Is(err, context.DeadlineExceeded) {
		f := fail(provider.Timeout, "the language model cannot be reached within %v", o.ConnectTimeout)
		f.told.Cause = err
		return f
	}
	_, dns := errors.AsType[*net.DNSError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	if dns || certificate {
		f := fail(provider.Unavailable, "the language model cannot be reached")
		f.told.Cause = err
		return f
	}
	return brokeOff(err)
}
