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
	"slices"
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

// A route is what a query of a service is made of.
type route struct {
	method   string
	segments []string // of the path; those that begin with @ are parameters
	fields   []Field
	body     any // decoded JSON, in which a text @name is a parameter; nil is none
}

// methods are those there are, and whether they may change something.
var methods = map[string]bool{"GET": false, "HEAD": false, "POST": true, "PUT": true, "PATCH": true, "DELETE": true}

// prepareREST checks a query of a service.
func (q *query) prepareREST() error {
	r := &route{method: strings.ToUpper(q.Method), fields: q.Fields}
	if r.method == "" {
		r.method = http.MethodGet
	}
	writes, known := methods[r.method]
	switch {
	case q.SQL != "":
		return errors.New("sql: is for databases")
	case !known:
		return fmt.Errorf("method: %q is not one of GET, HEAD, POST, PUT, PATCH, DELETE", q.Method)
	case writes && !q.Write:
		return fmt.Errorf("method: %s may change something: set write: true", r.method)
	case strings.Contains(q.Path+q.Body, "{{"):
		return errors.New("path and body: cannot hold a template: write @name where a value belongs")
	case strings.ContainsAny(q.Path, "?#"):
		return errors.New("path: has a query or a fragment: a query is a list under query")
	}
	var names []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(q.Path, "/"), "/") {
		name, param := strings.CutPrefix(segment, "@")
		if param && identifier.MatchString(name) {
			names = append(names, name)
		} else if strings.Contains(segment, "@") {
			return fmt.Errorf("path: a parameter is a whole segment, such as /orders/@id, and %q is not", segment)
		}
		r.segments = append(r.segments, segment)
	}
	for _, f := range q.Fields {
		if strings.Contains(f.Value, "{{") {
			return errors.New("query: cannot hold a template: write @name where a value belongs")
		}
		if name, param := strings.CutPrefix(f.Value, "@"); param {
			names = append(names, name)
		}
	}
	if q.Body != "" {
		if err := json.Unmarshal([]byte(q.Body), &r.body); err != nil {
			return fmt.Errorf("body: is not JSON: %w", err)
		}
		names = append(names, mentioned(r.body)...)
	}
	q.route = r
	slices.Sort(names)
	return q.uses("path, query and body", slices.Compact(names))
}

// mentioned are the parameters in a body.
func mentioned(v any) (names []string) {
	switch v := v.(type) {
	case string:
		if name, param := strings.CutPrefix(v, "@"); param {
			names = append(names, name)
		}
	case []any:
		for _, item := range v {
			names = append(names, mentioned(item)...)
		}
	case map[string]any:
		for _, item := range v {
			names = append(names, mentioned(item)...)
		}
	}
	return names
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

// path writes every value as one segment. Those that mean another place are
// refused, since no way of writing them keeps servers from going there.
func (r *route) path(values map[string]any) (string, error) {
	var b strings.Builder
	for _, segment := range r.segments {
		if name, param := strings.CutPrefix(segment, "@"); param {
			value := plainText(values[name])
			if value == "" || value == "." || value == ".." {
				return "", stopf("%q cannot be a segment of the path: it is the value of %s", value, name)
			}
			segment = url.PathEscape(value)
		}
		b.WriteString("/" + segment)
	}
	return b.String(), nil
}

// query writes the fields of the address. One whose value is null is left out,
// and a list is several fields of the same name.
func (r *route) query(values map[string]any) string {
	all := url.Values{}
	for _, f := range r.fields {
		name, param := strings.CutPrefix(f.Value, "@")
		switch value := values[name].(type) {
		case []any:
			for _, v := range value {
				all.Add(f.Name, plainText(v))
			}
			continue
		case nil:
			if param {
				continue
			}
		}
		if param {
			all.Add(f.Name, plainText(values[name]))
		} else {
			all.Add(f.Name, f.Value)
		}
	}
	return all.Encode()
}

// fill puts values into a body as what they are.
func fill(v any, values map[string]any) any {
	switch v := v.(type) {
	case string:
		if name, param := strings.CutPrefix(v, "@"); param {
			return values[name]
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = fill(v[i], values)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = fill(v[k], values)
		}
		return out
	}
	return v
}

// plainText is a value as it stands in an address.
func plainText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
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
