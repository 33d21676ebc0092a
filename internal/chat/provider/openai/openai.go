// Package openai is the provider for endpoints that speak the chat completions
// protocol of OpenAI. It is the only package that knows go-openai, of which it
// uses the requests and the reading of lines; chunks are decoded here, because
// only a part of them is needed.
package openai

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"github.com/roomcast/roomcast/internal/chat/provider"
	"github.com/roomcast/roomcast/internal/outbound"
)

// Defaults of [Options].
const (
	Timeout           = 5 * time.Minute
	ConnectTimeout    = 5 * time.Second
	FirstTokenTimeout = time.Minute
	TokenTimeout      = 30 * time.Second
	Retries           = 2
	MaxBytes          = 16 << 20

	firstWait = 500 * time.Millisecond
)

// Options say where an endpoint is and how much patience it gets. Durations and
// sizes that are 0 are the defaults.
type Options struct {
	// URL is what comes before /chat/completions, such as
	// https://api.openai.com/v1. It may be a private address: operators choose
	// it, not users.
	URL string
	// Key goes into the header Authorization, unless it is empty.
	Key string
	// Organization goes into the header OpenAI-Organization, unless it is empty.
	Organization string
	// Headers go with every request, in place of those of the same name.
	Headers []Header

	// Timeout is for a whole answer, retries included.
	Timeout time.Duration
	// ConnectTimeout is for a connection, and again for its TLS handshake.
	ConnectTimeout time.Duration
	// FirstTokenTimeout is from a request to the first token.
	FirstTokenTimeout time.Duration
	// TokenTimeout is from one token to the next.
	TokenTimeout time.Duration
	// Retries is how often a request is repeated that failed before its first
	// token.
	Retries int
	// FirstWait is the wait before the first of them; it doubles with each.
	FirstWait time.Duration
	// MaxBytes bounds an answer as it is sent: a token takes about 250 bytes.
	MaxBytes int64

	Logger *slog.Logger
}

// A Header is one of a request.
type Header struct{ Name, Value string }

// A Provider asks an endpoint. It may be used concurrently.
type Provider struct {
	opts   Options
	door   *door
	client *openai.Client
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider, without asking anybody. The error begins with the name
// of the option.
func New(o Options) (*Provider, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.defaults()
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	transport := &http.Transport{ // without proxies: those of the environment are not for this
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    o.ConnectTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // what is compressed has no bound
	}
	config := openai.DefaultConfig(o.Key)
	config.BaseURL, config.OrgID = o.URL, o.Organization
	config.EmptyMessagesLimit = maxComments
	d := &door{opts: o, client: &http.Client{Transport: transport, CheckRedirect: stay}}
	config.HTTPClient = d
	return &Provider{opts: o, door: d, client: openai.NewClientWithConfig(config)}, nil
}

// Close closes connections that are not in use.
func (p *Provider) Close() { p.door.client.CloseIdleConnections() }

// stay does not follow redirects: they would take the key along.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (o Options) check() error {
	// The address is not part of the errors: it may hold a secret.
	base, err := url.Parse(o.URL)
	switch {
	case err != nil, base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return errors.New("url: is not https://host/path")
	case base.User != nil:
		return errors.New("url: holds a user: set key, or a header")
	case base.RawQuery != "" || base.Fragment != "":
		return errors.New("url: has a query or a fragment, which it cannot have")
	}
	for i, h := range o.Headers {
		if err := outbound.CheckHeader(h.Name); err != nil {
			return fmt.Errorf("headers[%d].name: %q %w", i, h.Name, err)
		}
	}
	return nil
}

func (o *Options) defaults() {
	for value, standard := range map[*time.Duration]time.Duration{
		&o.Timeout: Timeout, &o.ConnectTimeout: ConnectTimeout, &o.FirstTokenTimeout: FirstTokenTimeout, &o.TokenTimeout: TokenTimeout, &o.FirstWait: firstWait,
	} {
		if *value == 0 {
			*value = standard
		}
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = MaxBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}
