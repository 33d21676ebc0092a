package provider

import "time"

// Kind is what sort of failure an [Error] is.
type Kind string

// The kinds.
const (
	// Unavailable is a provider that cannot be reached, is overloaded or broke
	// off.
	Unavailable Kind = "unavailable"
	// RateLimited is a provider that was asked too much.
	RateLimited Kind = "rate_limited"
	// BadRequest is a conversation or a model that the provider does not accept.
	BadRequest Kind = "bad_request"
	// Auth is a key that the provider does not accept.
	Auth Kind = "auth"
	// Malformed is an answer that cannot be understood, or is too large.
	Malformed Kind = "malformed"
	// Timeout is a provider that took too long.
	Timeout Kind = "timeout"
	// Filtered is a conversation that the provider refuses because of what it is
	// about.
	Filtered Kind = "content_filter"
)

// An Error is a failure of a provider.
type Error struct {
	Kind Kind
	// Text may be shown to users: it holds no key, no address and nothing of
	// what was said, by whomever.
	Text string
	// RetryAfter is how long the provider wants to be left alone; 0 if it did not
	// say.
	RetryAfter time.Duration
	// Cause is for the log of the server: it may hold host names and addresses,
	// and neither keys nor anything of what was said.
	Cause error
}

func (e *Error) Error() string { return e.Text }

func (e *Error) Unwrap() error { return e.Cause }
