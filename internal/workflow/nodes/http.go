package nodes

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
)

// httpNode calls an HTTP service. Its settings:
//
//	url, method (GET), headers, body  body is sent as JSON unless it is text
//	timeoutSeconds                    1 to 120 (30)
//	outputVariable                    where {status, headers, body} goes (httpResult)
type httpNode struct{ client *http.Client }

const (
	httpTimeout    = 30 * time.Second
	maxHTTPTimeout = 120 // seconds
	maxHTTPBody    = 1 << 20
	maxRedirects   = 5
)

func newHTTP(allowPrivate bool) httpNode {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	if !allowPrivate {
		dialer.Control = refusePrivate
	}
	return httpNode{&http.Client{
		Transport: &http.Transport{
			DialContext:           dialer.DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: maxHTTPTimeout * time.Second,
			MaxIdleConnsPerHost:   4,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return fmt.Errorf("more than %d redirects", maxRedirects)
			}
			return nil
		},
	}}
}

var httpMethods = map[string]bool{"": true, "GET": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "HEAD": true}

func (httpNode) Pure() bool { return false }

func (httpNode) Handles(Data) []string { return single }

func (httpNode) Check(d Data) []Problem {
	switch {
	case d.String("url") == "":
		return problem("url", "is missing")
	case !d.hasTemplate("url") && checkURL(d.String("url")) != nil:
		return problem("url", "%v", checkURL(d.String("url")))
	case !d.hasTemplate("method") && !httpMethods[strings.ToUpper(d.String("method"))]:
		return problem("method", "%q is not one of GET, POST, PUT, PATCH, DELETE, HEAD", d.String("method"))
	}
	if v, given := d["timeoutSeconds"]; given {
		if n, ok := toNumber(v); !ok || n < 1 || n > maxHTTPTimeout {
			return problem("timeoutSeconds", "is not between 1 and %d", maxHTTPTimeout)
		}
	}
	if v, given := d["headers"]; given {
		if _, ok := v.(map[string]any); !ok {
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
	timeout := httpTimeout
	if s, ok := call.Data.Number("timeoutSeconds"); ok && s >= 1 && s <= maxHTTPTimeout {
		timeout = time.Duration(s * float64(time.Second))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := newRequest(ctx, call.Data)
	if err != nil {
		return Result{}, err
	}
	res, err := n.client.Do(req)
	if err != nil {
		return Result{}, requestError(err, timeout)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxHTTPBody+1))
	if err != nil {
		return Result{}, requestError(err, timeout)
	}
	if len(body) > maxHTTPBody {
		return Result{}, fmt.Errorf("the response is larger than %d bytes", maxHTTPBody)
	}
	output := map[string]any{"status": res.StatusCode, "headers": flatten(res.Header), "body": decodeBody(res.Header, body)}
	if res.StatusCode >= 400 {
		return Result{Output: output}, fmt.Errorf("%s answered %s", req.URL.Host, res.Status)
	}
	return Result{Output: output}, nil
}

func newRequest(ctx context.Context, d Data) (*http.Request, error) {
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
	headers, _ := d["headers"].(map[string]any)
	for name, value := range headers {
		req.Header.Set(name, text(value))
	}
	return req, nil
}

// requestError says what went wrong without the address, which may hold a
// secret.
func requestError(err error, timeout time.Duration) error {
	var u *url.Error
	switch {
	case errors.Is(err, errPrivate):
		return errPrivate
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", timeout)
	case errors.As(err, &u):
		return u.Err
	}
	return err
}

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
