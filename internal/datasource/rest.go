package datasource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/roomcast/roomcast/internal/outbound"
)

// restBackend runs queries against an HTTP service.
type restBackend struct {
	client  *outbound.Client
	base    *url.URL
	headers []Header
}

func newREST(s Source) (restBackend, error) {
	base, err := url.Parse(s.URL)
	switch {
	case err != nil, base.Scheme != "http" && base.Scheme != "https", base.Host == "":
		return restBackend{}, errors.New("is not https://host/path")
	case base.RawQuery != "" || base.Fragment != "":
		return restBackend{}, errors.New("has a query or a fragment: they belong to the queries")
	}
	return restBackend{
		client:  outbound.New(outbound.Options{AllowPrivate: s.AllowPrivate, Setting: "allowPrivate of the data source"}),
		base:    base,
		headers: s.Headers,
	}, nil
}

func checkHeaders(headers []Header) (problems []error) {
	for i, h := range headers {
		if err := outbound.CheckHeader(h.Name); err != nil {
			problems = append(problems, fmt.Errorf("headers[%d].name: %q %w", i, h.Name, err))
		}
	}
	return problems
}

func (b restBackend) run(ctx context.Context, q *query, values map[string]any, key string, add addFunc) (any, error) {
	req, err := b.request(ctx, q, values, key)
	if err != nil {
		return nil, err
	}
	res, err := b.client.Do(req, outbound.Limits{Time: q.source.Timeout, Body: q.source.MaxBytes})
	switch {
	case errors.Is(err, outbound.ErrTooLarge):
		return nil, tooLarge(q.source.MaxBytes)
	case err != nil:
		return nil, err
	case res.Status >= 400:
		return nil, stopf("the service answered %s", res.Reason)
	case len(bytes.TrimSpace(res.Body)) == 0:
		return map[string]any{"status": res.Status}, nil
	}
	var out any
	if json.Unmarshal(res.Body, &out) != nil {
		return strings.ToValidUTF8(string(res.Body), "\uFFFD"), nil
	}
	if list, ok := out.([]any); ok && len(list) > q.source.MaxRows {
		return nil, stopf("has more than %d rows (maxRows)", q.source.MaxRows)
	}
	return out, nil
}

// request fills in the parameters, each in the way of its place.
func (b restBackend) request(ctx context.Context, q *query, values map[string]any, key string) (*http.Request, error) {
	target := *b.base
	path, err := q.route.path(values)
	if err != nil {
		return nil, err
	}
	target.RawPath = strings.TrimSuffix(target.EscapedPath(), "/") + path
	if target.Path, err = url.PathUnescape(target.RawPath); err != nil {
		return nil, err
	}
	target.RawQuery = q.route.query(values)
	var body io.Reader
	if q.route.body != nil {
		raw, err := json.Marshal(fill(q.route.body, values))
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, q.route.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "roomcast")
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if methods[q.route.method] && key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	for _, h := range b.headers {
		req.Header.Set(h.Name, h.Value)
	}
	return req, nil
}

// refusal implements [backend]: what may be told is told by run, and what the
// transport says may have the address.
func (b restBackend) refusal(err error) string {
	if errors.Is(err, outbound.ErrRefused) {
		return err.Error()
	}
	return ""
}

func (b restBackend) Close() error {
	b.client.Close()
	return nil
}
