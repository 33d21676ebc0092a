package nodes

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestHTTPCheck(t *testing.T) {
	typ := All(Options{MaxHTTPBody: 1000, MaxHTTPTimeout: 60 * time.Second})["http"]
	for want, data := range map[string]Data{
		"":                                {"url": "https://example.com", "maxBytes": 1000.0, "timeoutSeconds": "60", "headers": map[string]any{"X-Key": "{{ctx.key}}"}},
		" ":                               {"url": "{{ctx.url}}", "headers": "{{ctx.headers}}"},
		"url is missing":                  {},
		"url does not begin with http://": {"url": "file:///etc/passwd"},
		"url names no host":               {"url": "http:///x"},
		"method \"FETCH\"":                {"url": "http://h", "method": "FETCH"},
		"timeoutSeconds is not between 1 and 60, which is workflow.http.maxTimeout":       {"url": "http://h", "timeoutSeconds": 61.0},
		"maxBytes is not a whole number from 1 to 1000, which is workflow.http.maxBody":   {"url": "http://h", "maxBytes": 1001.0},
		"maxBytes is not a whole number from 1 to 1000, which is workflow.http.maxBody ":  {"url": "http://h", "maxBytes": 0.0},
		"maxBytes is not a whole number from 1 to 1000, which is workflow.http.maxBody  ": {"url": "http://h", "maxBytes": 1.5},
		"headers is not an object":                           {"url": "http://h", "headers": "x"},
		"headers.Host is set by the server itself":           {"url": "http://h", "headers": map[string]any{"Host": "x"}},
		"headers.content-length is set by the server itself": {"url": "http://h", "headers": map[string]any{"content-length": "1"}},
		"headers.Transfer-Encoding is set by the server":     {"url": "http://h", "headers": map[string]any{"Transfer-Encoding": "chunked"}},
		"headers.Connection is set by the server":            {"url": "http://h", "headers": map[string]any{"Connection": "close"}},
		"headers.Proxy-Authorization is set by the server":   {"url": "http://h", "headers": map[string]any{"Proxy-Authorization": "x"}},
		"headers.a\r\nb is not the name of a header":         {"url": "http://h", "headers": map[string]any{"a\r\nb": "x"}},
	} {
		checkProblem(t, typ.Check(data), want)
	}
}

// checkProblem compares the first problem, as its field and message.
func checkProblem(t *testing.T, problems []Problem, want string) {
	t.Helper()
	got := ""
	if len(problems) > 0 {
		got = problems[0].Field + " " + problems[0].Message
	}
	if want = strings.TrimSpace(want); (want == "") != (got == "") || !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHTTPLimitsOfNodes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.Repeat("x", 100))
		w.(http.Flusher).Flush()
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	for _, tt := range []struct {
		path string
		data Data
		want string
	}{
		{"/", Data{"maxBytes": 100.0}, ""},
		{"/", Data{"maxBytes": 99.0}, "the answer is larger than 99 bytes"},
		{"/", Data{"maxBytes": 1e9}, ""},
		{"/slow", Data{"timeoutSeconds": 100.0}, "the answer was not complete within 200ms"}, // written when more was allowed
		{"/slow", Data{}, "the answer was not complete within 200ms"},
	} {
		tt.data["url"] = server.URL + tt.path
		o := Options{AllowPrivate: true, MaxHTTPBody: 150}
		if tt.path == "/slow" {
			o.MaxHTTPTimeout = 200 * time.Millisecond
		}
		typ := All(o)["http"]
		_, err := typ.Run(t.Context(), Call{Data: tt.data})
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%v: %v, want %s", tt.data, err, tt.want)
		}
	}
}

func TestHTTPHeaders(t *testing.T) {
	seen := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	defer server.Close()
	typ := All(Options{AllowPrivate: true})["http"]
	for _, tt := range []struct {
		method  string
		headers map[string]any
		want    string
	}{
		{"GET", nil, ""},
		{"HEAD", nil, ""},
		{"POST", nil, "the key"},
		{"PUT", nil, "the key"},
		{"PATCH", nil, "the key"},
		{"DELETE", nil, "the key"},
		{"POST", map[string]any{"idempotency-key": "own"}, "own"},
		{"GET", map[string]any{"Idempotency-Key": "own"}, "own"},
	} {
		_, err := typ.Run(t.Context(), Call{Key: "the key", Data: Data{"url": server.URL, "method": tt.method, "headers": tt.headers}})
		if err != nil {
			t.Fatal(err)
		}
		if got := (<-seen).Get("Idempotency-Key"); got != tt.want {
			t.Errorf("%s %v: %q, want %q", tt.method, tt.headers, got, tt.want)
		}
	}
	for name, value := range map[string]string{"Host": "x", "X-Split": "a\r\nX-Other: b"} {
		_, err := typ.Run(t.Context(), Call{Data: Data{"url": server.URL, "headers": map[string]any{name: value}}})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
