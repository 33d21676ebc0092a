package websocket

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// An address that asks for TLS gets it, or no connection.
func TestDialWithTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	s.StartTLS()
	defer s.Close()
	var unknown x509.UnknownAuthorityError
	if _, _, err := Dial(t.Context(), s.URL, nil); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
}
