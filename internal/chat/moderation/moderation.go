// Package moderation asks a service over HTTP whether a text may be said. It
// knows nothing of rooms and turns.
package moderation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

const (
	maxAnswer = 64 << 10 // bytes of an answer
	maxReason = 200      // characters of a reason
)

// Options say where the service is.
type Options struct {
	// URL is where texts are sent. It may be a private address: operators choose
	// it, not users.
	URL string
	// Key goes into the header Authorization, unless it is empty.
	Key string
	// Timeout is for one text. Default 5 s.
	Timeout time.Duration
}

// A Text is what somebody wants to say. It is sent as JSON.
type Text struct {
	Tenant string `json:"tenant"`
	// User tells users apart without naming them.
	User      string `json:"user"`
	Text      string `json:"text"`
	Direction string `json:"direction"` // prompt or completion
}

// A Client asks. It may be used concurrently.
type Client struct {
	opts Options
	http *http.Client
}

// New returns a client, without asking anybody. The error begins with the name
// of the option.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("url: is not https://host/path") // without the address, which may hold a secret
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	dialer := &net.Dialer{Timeout: o.Timeout}
	return &Client{o, &http.Client{
		Transport: &http.Transport{ // without proxies: those of the environment are not for this
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: o.Timeout,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,
		},
		// A redirect would take what was said elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Judge asks whether a text may be said. If not, reason says why in a few words
// for people, or is "". Errors hold nothing of what was said, by whomever.
func (c *Client) Judge(ctx context.Context, t Text) (allowed bool, reason string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := c.request(ctx, t)
	if err != nil {
		return false, "", err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return false, "", withoutAddress(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case res.StatusCode != http.StatusOK:
		return false, "", fmt.Errorf("the answer has the status %d", res.StatusCode)
	case err != nil:
		return false, "", fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxAnswer:
		return false, "", fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return verdict(body)
}

func (c *Client) request(ctx context.Context, t Text) (*http.Request, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.opts.URL, bytes.NewReader(body))
	if err != nil {
		return nil, withoutAddress(err)
	}
	req.Header.Set("Content-Type", "application/json")
	// Asking twice does no harm: the transport may, when the service has closed
	// a connection in the meantime. The header itself is not sent.
	req.Header["Idempotency-Key"] = nil
	if c.opts.Key != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Key)
	}
	return req, nil
}

func withoutAddress(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

func verdict(body []byte) (allowed bool, reason string, err error) {
	var v struct {
		Allowed *bool  `json:"allowed"`
		Reason  string `json:"reason"`
	}
	if json.Unmarshal(body, &v) != nil || v.Allowed == nil {
		return false, "", errors.New(`the answer is not {"allowed": true} or {"allowed": false, "reason": "…"}`)
	}
	return *v.Allowed, shorten(v.Reason), nil
}

// shorten makes one short line of a reason.
func shorten(reason string) string {
	line := strings.Join(strings.FieldsFunc(reason, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	if r := []rune(line); len(r) > maxReason {
		return string(r[:maxReason]) + "…"
	}
	return strings.TrimRight(line, ".")
}
