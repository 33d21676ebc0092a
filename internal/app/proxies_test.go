package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTrustedProxies(t *testing.T) {
	for _, tt := range []struct {
		remote  string
		headers []string
		want    string
	}{
		{"198.51.100.7:1", nil, "198.51.100.7:1"},
		{"198.51.100.7:1", []string{"203.0.113.9"}, "198.51.100.7:1"}, // nobody of ours says so
		{"10.1.2.3:1", nil, "10.1.2.3:1"},
		{"10.1.2.3:1", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"[::ffff:10.1.2.3]:1", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"10.1.2.3:1", []string{"1.1.1.1, 203.0.113.9, 10.0.0.1"}, "203.0.113.9:0"}, // the first was made up
		{"10.1.2.3:1", []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9:0"},
		{"10.1.2.3:1", []string{"1.1.1.1, rubbish"}, "10.1.2.3:1"},
		{"10.1.2.3:1", []string{"1.1.1.1, rubbish, 10.0.0.1"}, "10.0.0.1:0"},
		{"10.1.2.3:1", []string{"10.0.0.9, 10.0.0.1"}, "10.0.0.9:0"},
		{"192.0.2.1:1", []string{"2001:db8::1"}, "[2001:db8::1]:0"},
		{"10.1.2.3:1", []string{"1.1.1.1, 203.0.113.9:4711"}, "203.0.113.9:0"}, // with the port
		{"10.1.2.3:1", []string{"[2001:db8::1]:4711"}, "[2001:db8::1]:0"},
		{"198.51.100.1:1", []string{"203.0.113.9"}, "203.0.113.9:0"}, // trusted as IPv6
		{"198.51.100.66:1", []string{"203.0.113.9"}, "203.0.113.9:0"},
		{"[fe80::1%eth0]:1", []string{"203.0.113.9"}, "203.0.113.9:0"},
	} {
		var got string
		h := newProxies([]string{"10.0.0.0/8", "192.0.2.1", "::ffff:198.51.100.1", "::ffff:198.51.100.64/122", "fe80::/10"}).handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = tt.remote
		r.Header["X-Forwarded-For"] = tt.headers
		h.ServeHTTP(nil, r)
		if got != tt.want {
			t.Errorf("%s %q: %s, want %s", tt.remote, tt.headers, got, tt.want)
		}
	}
}
