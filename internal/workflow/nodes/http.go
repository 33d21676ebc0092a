package nodes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/roomcast/roomcast/internal/outbound"
)

// httpNode calls an HTTP service. Its settings:
//
//	url, method (GET), headers, body  body is sent as JSON unless it is text
//	timeoutSeconds                    1 to workflow.http.maxTimeout (30), for the whole answer
//	maxBytes                          1 to workflow.http.maxBody (that), of the answer's body
//	outputVariable                    where {status, headers, body} goes (httpResult)
type httpNode struct {
	client     *outbound.Client
	maxBody    int64
	maxTimeout time.Duration
}

const (
	defaultHTTPTimeout = 30 * time.Second
	defaultMaxBody     = 1 << 20
	defaultMaxTimeout  = 120 * time.Second
)

func newHTTP(o Options) httpNode {
	n := httpNode{
		client:     outbound.New(outbound.Options{AllowPrivate: o.AllowPrivate, Setting: "workflow.http.allowPrivate"}),
		maxBody:    o.MaxHTTPBody,
		maxTimeout: o.MaxHTTPTimeout,
	}
	if n.maxBody <= 0 {
		n.maxBody = defaultMaxBody
	}
	if n.maxTimeout <= 0 {
		n.maxTimeout = defaultMaxTimeout
	}
	return n
}

var httpMethods = map[string]bool{"": true, "GET": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "HEAD": true}

func (httpNode) Pure() bool { return false }

func (httpNode) Handles(Data) []string { return single }

func (n httpNode) Check(d Data) []Problem {
	switch {
	case d.String("url") == "":
		return problem("url", "is missing")
	case !d.hasTemplate("url") && checkURL(d.String("url")) != nil:
		return problem("url", "%v", checkURL(d.String("url")))
	case !d.hasTemplate("method") && !httpMethods[strings.ToUpper(d.String("method"))]:
		return problem("method", "%q is not one of GET, POST, PUT, PATCH, DELETE, HEAD", d.String("method"))
	}
	if v, given := d["timeoutSeconds"]; given {
		if s, ok := toNumber(v); !ok || s < 1 || s > n.maxTimeout.Seconds() {
			return problem("timeoutSeconds", "is not between 1 and %v, which is workflow.http.maxTimeout", n.maxTimeout.Seconds())
		}
	}
	if v, given := d["maxBytes"]; given {
		if b, ok := toNumber(v); !ok || b < 1 || b > float64(n.maxBody) || b != math.Trunc(b) {
			return problem("maxBytes", "is not a whole number from 1 to %d, which is workflow.http.maxBody", n.maxBody)
		}
	}
	switch headers := d["headers"].(type) {
	case nil:
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(headers)) {
			if err := outbound.CheckHeader(name); err != nil {
				return problem("headers."+name, "%v", err)
			}
		}
	default:
		if !d.hasTemplate("headers") {
			return problem("headers", "is not an object")
		}
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("does not begin with http:// or https://")
	case u.Host == "":
		return errors.New("names no host")
	}
	return nil
}

func (n httpNode) Run(ctx context.Context, call Call) (Result, error) {
	req, err := newRequest(ctx, call)
	if err != nil {
		return Result{}, err
	}
	res, err := n.client.Do(req, n.limits(call.Data))
	if err != nil {
		return Result{}, err
	}
	output := map[string]any{"status": res.Status, "headers": flatten(res.Header), "body": decodeBody(res.Header, res.Body)}
	if res.Status >= 400 {
		return Result{Output: output}, fmt.Errorf("%s answered %s", req.URL.Host, res.Reason)
	}
	return Result{Output: output}, nil
}

// limits are those of a node, which may be older than the configuration.
func (n httpNode) limits(d Data) outbound.Limits {
	l := outbound.Limits{Time: defaultHTTPTimeout, Body: n.maxBody}
	if s, ok := d.Number("timeoutSeconds"); ok && s >= 1 {
		l.Time = duration(s, time.Second, n.maxTimeout)
	}
	if b, ok := d.Number("maxBytes"); ok && b >= 1 {
		l.Body = int64(min(b, float64(n.maxBody)))
	}
	l.Time = min(l.Time, n.maxTimeout)
	return l
}

func newRequest(ctx context.Context, call Call) (*http.Request, error) {
	d := call.Data
	if err := checkURL(d.String("url")); err != nil {
		return nil, fmt.Errorf("url %w", err)
	}
	method := strings.ToUpper(d.String("method"))
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	contentType := ""
	switch b := d["body"].(type) {
	case nil:
	case string:
		if b != "" {
			body, contentType = strings.NewReader(b), "text/plain; charset=utf-8"
		}
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		body, contentType = bytes.NewReader(raw), "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, d.String("url"), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "roomcast")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if repeatable(method) && call.Key != "" {
		req.Header.Set("Idempotency-Key", call.Key)
	}
	headers, _ := d["headers"].(map[string]any)
	for name, value := range headers {
		if err := outbound.CheckHeader(name); err != nil {
			return nil, fmt.Errorf("headers.%s %w", name, err)
		}
		req.Header.Set(name, text(value))
	}
	return req, nil
}

// repeatable reports whether a method may change something, so that the other
// side should know a request that comes again from a new one.
func repeatable(method string) bool { return method != http.MethodGet && method != http.MethodHead }

func flatten(h http.Header) map[string]any {
	flat := make(map[string]any, len(h))
	for name, values := range h {
		flat[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return flat
}

func decodeBody(h http.Header, body []byte) any {
	if strings.Contains(h.Get("Content-Type"), "json") {
		var v any
		if json.Unmarshal(body, &v) == nil {
			return v
		}
	}
	return strings.ToValidUTF8(string(body), "\uFFFD")
}
