// Package outbound sends HTTP requests to places that users name. It is meant
// for addresses and answers that nobody vouches for: private addresses are
// refused when the connection is made, and time, redirects, headers and bodies
// have limits. Proxies of the environment are not used, since they would
// connect without asking.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	maxRedirects = 5
	maxHeader    = 64 << 10 // bytes of all headers of an answer
	dialTimeout  = 10 * time.Second
)

// Options configure a client.
type Options struct {
	// AllowPrivate lets requests reach private addresses.
	AllowPrivate bool
	// Setting is what AllowPrivate is called where it is configured; errors name
	// it.
	Setting string
}

// ErrTooLarge is an answer beyond a limit.
var ErrTooLarge = errors.New("the answer is larger than")

// ErrRefused is what this package does not do: go to a private address, or
// follow redirects without an end. The text of the error says which, and no
// address.
var ErrRefused = errors.New("request refused")

// A refusal is an ErrRefused with a text of its own.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

func (e *refusal) Is(target error) bool { return target == ErrRefused }

// A timeout is a [context.DeadlineExceeded] with a text of its own.
type timeout struct{ text string }

func (e *timeout) Error() string { return e.text }

func (e *timeout) Is(target error) bool { return target == context.DeadlineExceeded }

// A Client sends requests. It may be used concurrently.
type Client struct{ http *http.Client }

// New returns a client with connections of its own.
func New(o Options) *Client { return o.client(&net.Dialer{Timeout: dialTimeout}) }

func (o Options) client(dialer *net.Dialer) *Client {
	if !o.AllowPrivate {
		dialer.Control = o.refusePrivate
	}
	return &Client{&http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSHandshakeTimeout:    dialTimeout,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: redirect,
	}}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Limits bound one request.
type Limits struct {
	// Time is for everything, from the connection to the last byte of the body.
	Time time.Duration
	// Body is in bytes, counted after decompression.
	Body int64
}

// A Response is a whole answer.
type Response struct {
	Status int
	Reason string // the status with its text, such as "404 Not Found"
	Header http.Header
	Body   []byte
}

// Do sends a request and reads the answer, whatever its status. An error says
// what went wrong without the address, which may hold a secret.
func (c *Client) Do(req *http.Request, l Limits) (Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), l.Time)
	defer cancel()
	res, err := c.http.Do(req.WithContext(ctx))
	if errors.Is(err, context.DeadlineExceeded) {
		return Response{}, &timeout{fmt.Sprintf("no answer within %v", l.Time)}
	}
	if err != nil {
		return Response{}, explain(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, l.Body+1))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Response{}, &timeout{fmt.Sprintf("the answer was not complete within %v", l.Time)}
	case err != nil:
		return Response{}, fmt.Errorf("reading the answer: %w", explain(err))
	case int64(len(body)) > l.Body:
		return Response{}, fmt.Errorf("%w %d bytes", ErrTooLarge, l.Body)
	}
	return Response{Status: res.StatusCode, Reason: res.Status, Header: res.Header, Body: body}, nil
}

// explain takes the address out of an error.
func explain(err error) error {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if strings.Contains(err.Error(), "headers exceeded") { // the transport has no value for it
		return &refusal{fmt.Sprintf("the headers of the answer are larger than %d bytes", maxHeader)}
	}
	return err
}

// kept are the headers that follow a redirect to another origin: they say what
// is sent and wanted, and not by whom. All others may be a secret of the first
// origin, whatever their name.
var kept = map[string]bool{"Accept": true, "Accept-Language": true, "Content-Type": true, "Idempotency-Key": true, "User-Agent": true}

// redirect decides whether to follow a redirect, and with which headers.
func redirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return &refusal{fmt.Sprintf("more than %d redirects", maxRedirects)}
	}
	if next.URL.Scheme != "http" && next.URL.Scheme != "https" {
		return &refusal{"a redirect leads neither to http nor to https"}
	}
	next.Header.Del("Referer") // it has the query of the address before
	foreign := func(r *http.Request) bool { return !sameOrigin(r.URL, via[0].URL) }
	if foreign(next) || slices.ContainsFunc(via, foreign) {
		strip(next.Header)
	}
	return nil
}

func strip(h http.Header) {
	for name := range h {
		if !kept[name] {
			h.Del(name)
		}
	}
}

// sameOrigin compares more than the transport does: it sends credentials to
// other ports and from https to http.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
