package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/roomcast/roomcast/internal/servertest"
)

// Whatever is refused is a line in the log, before anybody is asked who they
// are as well.
func TestRefusalsOfTheGuardAreLogged(t *testing.T) {
	s := servertest.Start(t, servertest.Options{})
	for _, tt := range []struct{ path, host, header, code string }{
		{"/api/v1/me", "evil.example", "", "HOST_NOT_ALLOWED"},
		{"/api/v1/me", "", "Origin", "NOT_ALLOWED_BY_CORS"},
		{"/socket.io/?EIO=4&transport=polling", "", "Origin", "NOT_ALLOWED_BY_CORS"},
		{"/metrics", "", "X-Forwarded-For", "USER_AUTH_TOKEN_NOT_FOUND"},
	} {
		req, _ := http.NewRequest(http.MethodGet, s.URL+tt.path, nil)
		req.Host = tt.host
		if tt.header != "" {
			req.Header.Set(tt.header, "https://evil.example")
		}
		before := strings.Count(s.Log.String(), "code="+tt.code)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if after := strings.Count(s.Log.String(), "code="+tt.code); res.StatusCode != http.StatusForbidden || after != before+1 {
			t.Errorf("%s: %s, %d lines", tt.path, res.Status, after-before)
		}
	}
}
